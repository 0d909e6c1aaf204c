// The tables that plans are made of, and what a wrong one is told.
#include <doctest/doctest.h>

#include <string>

#include "cluster/planner/cluster_text.h"
#include "cluster/planner/embedded_tables.h"
#include "cluster/planner/tables.h"

namespace troupe::cluster {
namespace {

std::string fault_of(const std::string& text) {
  PlannerTables tables = builtin_tables();
  const Status read = read_tables(text, "mine.toml", tables);
  return read ? "" : read.error().message;
}

TEST_CASE("tables: those that travel with the program are read, each file in full") {
  const PlannerTables& tables = builtin_tables();
  CHECK(embedded_tables().size() >= 9);
  for (const char* name : {"H800", "H100", "H200", "A100", "cpu"}) {
    CAPTURE(name);
    REQUIRE(tables.devices.count(name) == 1);
    CHECK(tables.devices.at(name).usable_gb < tables.devices.at(name).memory_gb);
    CHECK(tables.networks.count(tables.nodes.at(name).network) == 1);
  }
  CHECK(tables.devices.at("H800").weights_tbps.median == 2.3);
  CHECK(tables.devices.at("H800").weights_tbps.spread == 0.15);
  // Like another, but for what it says itself.
  CHECK(tables.devices.at("H100").weights_tbps.median == 2.3);
  CHECK(tables.devices.at("H100").price_per_hour == 2.5);
  CHECK(tables.lengths.at("r1").sigma.median == 0.9);
  CHECK(tables.lengths.at("r1").mean_by_step.front().second == 6500);
  CHECK(tables.networks.at("cx7-400").combine_us.at(3) == 273.0);
  CHECK(tables.models.at("deepseek-v3").config.n_routed_experts == 256);
  CHECK(tables.operations.redundant_experts == 32);
}

TEST_CASE("tables: what is wrong is named with file, line and the nearest key") {
  CHECK(fault_of("[device.H800]\nprice_per_hour = 3.0\n") == "");
  CHECK(fault_of("\n[device.H800]\nweigths_TBps = 2.0\n")
            .find("mine.toml:3: unknown key device.H800.weigths_TBps; the nearest: weights_TBps") ==
        0);
  CHECK(fault_of("[devise.H800]\nfp8 = true\n")
            .find("mine.toml:1: unknown key devise; the nearest: device") == 0);
  CHECK(fault_of("[device.H800]\nfp8 = 1\n") ==
        "mine.toml:2: device.H800.fp8 must be true or false, not 1");
  CHECK(fault_of("[device.H800]\nprice_per_hour = \"2\"\n") ==
        "mine.toml:2: device.H800.price_per_hour must be a number, not \"2\"");
  CHECK(fault_of("[device.H800]\nweights_TBps = -1\n")
            .find("mine.toml:2: device.H800.weights_TBps is -1; it must be ") == 0);
  CHECK(fault_of("[device.H800]\nweights_TBps = { median = 2.0, spred = 0.1 }\n")
            .find("mine.toml:2: unknown key device.H800.weights_TBps.spred; the nearest: spread") ==
        0);
  CHECK(fault_of("[device.H800]\nweights_TBps = { spread = 0.1 }\n") ==
        "mine.toml:2: device.H800.weights_TBps lacks median");
  CHECK(fault_of("[device.B200]\nprice_per_hour = 3.0\n") ==
        "mine.toml:1: device.B200 lacks memory_GB");
  CHECK(fault_of("[device.B200]\nlike = \"H80\"\n")
            .find("mine.toml:2: there is no device H80; the nearest: H800") == 0);
  CHECK(fault_of("[device.a]\nlike = \"b\"\n[device.b]\nlike = \"a\"\n")
            .find("are like each other") != std::string::npos);
  CHECK(fault_of("[engine.x]\nlike = \"troupe\"\nprecision = \"fp9\"\n")
            .find("mine.toml:3: engine.x.precision is \"fp9\"; it must be one of fp8") == 0);
  CHECK(
      fault_of("[network.cx7-400]\ndispatch_us = [1.0]\n").find("mine.toml:1: network.cx7-400: ") ==
      0);
  CHECK(
      fault_of("[lengths.mine]\nlike = \"r1\"\nmean_by_step = [[10, 5], [10, 6]]\n")
          .find(
              "mine.toml:3: lengths.mine.mean_by_step must be a list of [step, number], by step") ==
      0);
  CHECK(fault_of("[model.deepseek-v3]\nnum_experts_per_tok = 300\n")
            .find("mine.toml:1: model.deepseek-v3: model configuration: num_experts_per_tok") == 0);
  CHECK(fault_of("[device.H800\n").find("mine.toml:1: not TOML: ") == 0);
}

TEST_CASE("tables: a file is taken as a whole or not at all") {
  PlannerTables tables = builtin_tables();
  CHECK(!read_tables("[device.H800]\nprice_per_hour = 9.0\nfp8 = 3\n", "mine.toml", tables));
  CHECK(tables.devices.at("H800").price_per_hour == 2.0);
  CHECK(
      read_tables("[device.mine]\nlike = \"other\"\nfp8 = false\n[device.other]\nlike = \"H200\"\n"
                  "price_per_hour = 4.0\n",
                  "mine.toml", tables));
  CHECK(tables.devices.at("mine").price_per_hour == 4.0);
  CHECK(tables.devices.at("mine").usable_gb == 138.0);
}

TEST_CASE("cluster text: hosts, devices and their table, or what is wrong with it") {
  const auto cluster = parse_cluster("64x8xH800", builtin_tables());
  REQUIRE(cluster);
  CHECK(cluster->devices() == 512);
  CHECK(cluster->network.storage_gbps == 50.0);
  const auto fault = [](std::string_view text) {
    return parse_cluster(text, builtin_tables()).error().message;
  };
  for (const char* text : {"", "64", "64x8", "0x8xH800", "x8xH800", "64x-8xH800", "64x8.5xH800"}) {
    CAPTURE(text);
    CHECK(fault(text).find("must be HOSTSxDEVICESxNAME, e.g. 64x8xH800") != std::string::npos);
  }
  CHECK(fault("64x8xH80").find("there is no device H80; the nearest: H800") != std::string::npos);
  CHECK(fault("64x8xh200").find("the nearest: H200") != std::string::npos);
  CHECK(fault("64x9xH800").find("a host has at most 8 H800, not 9") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster

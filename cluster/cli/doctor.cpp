// `troupe doctor`: what this machine, or each host of a cluster, can promise, tried and not
// assumed.
#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "actors/verifier/sandbox/box.h"
#include "cluster/cli/command.h"
#include "cluster/cli/doctor_cluster.h"
#include "cluster/cli/door.h"
#include "cluster/monitor/gpu_reader.h"
#include "cluster/monitor/host_health.h"
#include "cluster/monitor/text.h"
#include "cluster/nodes/host_reading.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

// What there is of GPUs, and what ranks on them need beside them.
struct GpuSupport {
  std::string driver{};  // Its version; empty: there is none, because of `failure`.
  std::string failure{};
  std::vector<GpuFacts> gpus{};
  std::string nccl{};  // Its version; empty: it is not installed.
  uint64_t shm_bytes = 0;
};

std::string nccl_version() {
  void* const library = ::dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return "";
  std::string text;
  int version = 0;
  auto* const get_version = reinterpret_cast<int (*)(int*)>(::dlsym(library, "ncclGetVersion"));
  if (get_version != nullptr && get_version(&version) == 0) {
    text = fmt::format("{}.{}.{}", version / 10'000, version / 100 % 100, version % 100);
  }
  ::dlclose(library);
  return text;
}

GpuSupport probe_gpus() {
  GpuSupport support{.nccl = nccl_version(), .shm_bytes = take_reading("/dev/shm").shm_bytes};
  const auto reader = GpuReader::open();
  if (!reader) {
    support.failure = reader.error().message;
    return support;
  }
  support.driver = (*reader)->driver();
  support.gpus = (*reader)->facts();
  return support;
}

std::string peers_text(const GpuFacts& gpu, size_t own) {
  std::string text;
  for (size_t i = 0; i < gpu.peers.size(); ++i) {
    if (i != own && gpu.peers[i]) text += fmt::format("{}{}", text.empty() ? "" : ", ", i);
  }
  return text.empty() ? "no other" : text;
}

nlohmann::ordered_json to_json(const GpuSupport& support) {
  auto gpus = nlohmann::ordered_json::array();
  for (const GpuFacts& gpu : support.gpus) {
    gpus.push_back({{"name", gpu.name},
                    {"id", gpu.id},
                    {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)},
                    {"memory_bytes", gpu.memory_bytes},
                    {"peers", gpu.peers}});
  }
  return {{"driver", support.driver},
          {"failure", support.failure},
          {"devices", gpus},
          {"nccl", support.nccl},
          {"shm_bytes", support.shm_bytes}};
}

void print_table(const GpuSupport& support) {
  if (support.gpus.empty()) {
    fmt::print("GPUs: none ({}). Troupe computes on processors here.\n",
               support.driver.empty() ? support.failure : "driver " + support.driver);
    return;
  }
  fmt::print("GPUs, by driver {}:\n", support.driver);
  for (size_t i = 0; i < support.gpus.size(); ++i) {
    const GpuFacts& gpu = support.gpus[i];
    fmt::print("  {:<7} {}, {}, compute capability {}.{}, reads the memory of {}\n", i,
               printable(gpu.name), byte_count(gpu.memory_bytes), gpu.major, gpu.minor,
               peers_text(gpu, i));
  }
  fmt::print("  {:<7} NCCL {}\n", support.nccl.empty() ? "MISSING" : "ok",
             support.nccl.empty() ? "(libnccl2): GPUs do not reach each other" : support.nccl);
  const uint64_t needed = HealthLimits{}.shm_bytes_min;
  const bool is_enough = support.shm_bytes >= needed;
  fmt::print("  {:<7} /dev/shm has {}{}\n", is_enough ? "ok" : "SMALL",
             byte_count(support.shm_bytes),
             is_enough ? "" : ", and ranks of GPUs meet there: give it " + byte_count(needed));
}

void print_json(const actors::BoxSupport& support, const GpuSupport& gpus) {
  auto findings = nlohmann::ordered_json::array();
  for (const auto& finding : support.findings) {
    findings.push_back(
        {{"part", finding.part}, {"is_there", finding.is_there}, {"detail", finding.detail}});
  }
  const nlohmann::ordered_json all = {
      {"box_level", actors::name(support.level)}, {"findings", findings}, {"gpus", to_json(gpus)}};
  // A path in a detail may hold any byte.
  std::puts(to_text(all, {.indent = 2, .replaces_invalid = true}).c_str());
}

void print_table(const actors::BoxSupport& support) {
  std::printf("Boxes for programs that nobody trusts (code rewards, command rewards):\n");
  for (const auto& finding : support.findings) {
    std::printf("  %-7s %-14s %s\n", finding.is_there ? "ok" : "MISSING", finding.part.c_str(),
                finding.detail.c_str());
  }
  std::printf("Level: %s\n", actors::name(support.level));
  if (support.level != actors::BoxLevel::kFull) {
    std::printf("Jobs that need level full are refused here until the missing parts are there.\n");
  }
}

}  // namespace

void add_doctor(Command& program, int& exit_code) {
  Command command =
      program.add_command("doctor",
                          "Try what this machine needs to run untrusted programs, which GPUs it "
                          "has, or how the hosts of a cluster are");
  command.footer(
      "With --cluster the head asks each host, tries the link to it (4 MiB each way) and times a\n"
      "product on one of its cores. Hosts are compared with the median where there are three or\n"
      "more. Of operators only.\n"
      "Exit codes: 0 everything needed is there, 1 something is missing or a host is not well.\n\n"
      "Example:\n  troupe doctor --json\n  troupe doctor --cluster --server lab");
  struct DoctorCommand {
    bool is_json = false;
    bool is_cluster = false;
    ServerChoice server{};
  };
  auto state = std::make_shared<DoctorCommand>();
  command.add_flag("--cluster", state->is_cluster, "The hosts of a daemon's cluster");
  add_server_options(command, state->server);
  command.add_flag("--json", state->is_json, "One JSON object instead of a table");
  command.callback([state, &exit_code] {
    if (state->is_cluster) {
      const Status well = examine_cluster(state->server, state->is_json);
      exit_code = well ? 0 : report("doctor", well.error());
      return;
    }
    const actors::BoxSupport support = actors::probe_box_support();
    if (state->is_json) {
      print_json(support, probe_gpus());
    } else {
      print_table(support);
      print_table(probe_gpus());
    }
    exit_code = support.level == actors::BoxLevel::kFull ? 0 : 1;
  });
}

}  // namespace troupe::cluster

// `troupe doctor` says what boxes reach here, to people and to programs.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "actors/verifier/sandbox/box.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

TEST_CASE("doctor: the exit code and both outputs say what the probe found") {
  const bool is_full = actors::probe_box_support().level == actors::BoxLevel::kFull;
  tests::Process json({.arguments = {"doctor", "--json"}});
  const tests::Ended machine = json.wait();
  CHECK(machine.exit_code == (is_full ? 0 : 1));
  const auto parsed = nlohmann::json::parse(machine.out);
  CHECK(parsed["box_level"] == actors::name(actors::probe_box_support().level));
  CHECK(!parsed["findings"].empty());
  tests::Process table({.arguments = {"doctor"}});
  const tests::Ended people = table.wait();
  CHECK(people.exit_code == machine.exit_code);
  for (const auto& finding : parsed["findings"]) {
    CHECK(people.out.find(finding["part"].get<std::string>()) != std::string::npos);
  }
}

TEST_CASE("doctor: GPUs that the driver tells of, and what is missing beside them") {
  const tests::TempDir dir;
  std::filesystem::create_symlink(TROUPE_GPU_HOST_NVML, dir.file("libnvidia-ml.so.1"));
  const auto told = [&](std::vector<std::string> words, const std::string& count) {
    words.insert(words.begin(), "doctor");
    return tests::Process(
               {.arguments = words,
                .environment = {{"LD_LIBRARY_PATH", dir.path()}, {"TROUPE_TEST_GPUS", count}}})
        .wait()
        .out;
  };
  const std::string people = told({}, "2");
  CHECK(people.find("GPUs, by driver 580.65.06:") != std::string::npos);
  CHECK(
      people.find("1       NVIDIA H800, 85.9 GB, compute capability 9.0, reads the memory of 0") !=
      std::string::npos);
  CHECK(people.find("/dev/shm has ") != std::string::npos);
  const auto json = nlohmann::json::parse(told({"--json"}, "2"))["gpus"];
  REQUIRE(json["devices"].size() == 2);
  CHECK(json["devices"][1]["compute_capability"] == "9.0");
  CHECK(told({}, "0").find("GPUs: none (driver 580.65.06)") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster

// What `troupe calibrate` and `troupe simulate` say of a run here, beside the run.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using Json = nlohmann::json;

// Of the rounds of a run, by the clock, without the first two.
double measured_round_seconds(const std::string& metrics, int64_t minibatches) {
  double first = 0, last = 0;
  int64_t num_rounds = 0;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    const Json one = Json::parse(line);
    if (one.value("stage", "") != "grpo" || one["step"].get<int64_t>() % minibatches != 0) continue;
    last = one["time"].get<double>();
    if (++num_rounds == 2) first = last;
  }
  REQUIRE(num_rounds > 6);
  return (last - first) / static_cast<double>(num_rounds - 2);
}

tests::Ended troupe(const std::vector<std::string>& arguments) {
  const auto ended = tests::Process({.arguments = arguments}).wait();
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  return ended;
}

TEST_CASE("planner: a run of the quickstart takes what was predicted after calibration") {
  const tests::TempDir folder;
  troupe({"make-data", "arithmetic", "--out", folder.file("data")});
  std::filesystem::copy_file(std::string(TROUPE_SOURCE_DIR) + "/cluster/jobs/quickstart.toml",
                             folder.file("job.toml"));
  const std::string job = folder.file("job.toml"), here = folder.file("here.toml");
  const std::vector<std::string> fewer = {"--set", "sft.steps=200", "--set", "sft.gate_pass_at_1=0",
                                          "--set", "grpo.steps=40", "--set", "eval.problems=0"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), fewer.begin(), fewer.end());
    return troupe(arguments);
  };
  // Around the run, so that both have the same neighbours.
  troupe({"calibrate", job, "--out", here});
  with({"run", job, "--home", folder.file("home")});
  const std::string metrics = folder.file("home") + "/metrics.jsonl";
  const auto said = with(
      {"simulate", job, "--cluster", "1x2xcpu", "--tables", here, "--lengths", metrics, "--json"});
  const double predicted = Json::parse(said.out)["seconds_per_round"];
  const double measured = measured_round_seconds(tests::contents(metrics), 2);
  MESSAGE("seconds of a round: predicted " << predicted << ", measured " << measured);
  // Whatever else this machine does meanwhile; quiet, it is within 15 %.
  CHECK(predicted < 1.6 * measured);
  CHECK(measured < 1.6 * predicted);
}

}  // namespace
}  // namespace troupe::cluster

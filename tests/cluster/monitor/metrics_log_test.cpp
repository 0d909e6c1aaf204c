#include "cluster/monitor/metrics_log.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cluster/monitor/run_view.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

TEST_CASE("metrics_log: a line per step and evaluation under the field's names, nothing before") {
  tests::TempDir dir;
  const std::string path = dir.file("metrics.jsonl");
  std::FILE* nowhere = std::fopen("/dev/null", "w");
  {
    PlainView view(nowhere);
    MetricsLog log(path, view);
    CHECK_FALSE(std::filesystem::exists(path));
    log.run_started(JobSpec{}, "0123", 10);
    StepMetrics step;
    step.stage = Stage::kGrpo;
    step.version = PolicyVersion{7};
    step.reward_mean = 0.5;
    step.clip_fraction = 0.25;
    log.step_committed(step);
    log.evaluated({.version = PolicyVersion{7}, .problems = 4, .solved = 3}, {});
    log.run_ended({}, "finished", "0123");
  }
  std::fclose(nowhere);
  std::ifstream file(path);
  std::string line;
  REQUIRE(std::getline(file, line));
  const auto step = nlohmann::json::parse(line);
  CHECK(step["policy_version"] == 7);
  CHECK(step["reward/mean"] == 0.5);
  CHECK(step["clip_ratio/region_mean"] == 0.25);
  REQUIRE(std::getline(file, line));
  CHECK(nlohmann::json::parse(line)["eval/pass_at_1"] == 0.75);
  CHECK_FALSE(std::getline(file, line));
}

TEST_CASE("metrics_log: a step of the cold start has no rewards") {
  StepMetrics step;
  step.stage = Stage::kSft;
  const auto json = nlohmann::json::parse(to_json_line(step));
  CHECK(json["stage"] == "sft");
  CHECK_FALSE(json.contains("reward/mean"));
}

}  // namespace
}  // namespace troupe::cluster

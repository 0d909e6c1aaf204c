#include "cluster/monitor/metrics_log.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

TEST_CASE("metrics_log: a line per step and evaluation under the field's names, nothing before") {
  tests::TempDir dir;
  const std::string path = dir.file("metrics.jsonl");
  {
    MetricsLog log(path);
    CHECK_FALSE(std::filesystem::exists(path));
    REQUIRE(log.open(false));
    StepMetrics step;
    step.stage = Stage::kGrpo;
    step.version = PolicyVersion{7};
    step.reward_mean = 0.5;
    step.clip_fraction = 0.25;
    step.staleness_steps_mean = 1.5;
    step.staleness_steps_max = 3;
    step.staleness_steps_by_length = {{"0-63", 1.25}};
    step.log_ratio_abs_by_length = {{"64-127", 0.125}};
    log.write(to_line(step));
    log.write(to_line(EvalMetrics{.version = PolicyVersion{7}, .problems = 4, .solved = 3}));
  }
  std::ifstream file(path);
  std::string line;
  REQUIRE(std::getline(file, line));
  const auto step = nlohmann::json::parse(line);
  CHECK(step["policy_version"] == 7);
  CHECK(step["reward/mean"] == 0.5);
  CHECK(step["clip_ratio/region_mean"] == 0.25);
  CHECK(step["staleness/mean"] == 1.5);
  CHECK(step["staleness/max"] == 3);
  CHECK(step["staleness/length_0-63"] == 1.25);
  CHECK(step["log_ratio_abs/length_64-127"] == 0.125);
  CHECK_FALSE(step.contains("importance_weight/mean"));
  REQUIRE(std::getline(file, line));
  CHECK(nlohmann::json::parse(line)["eval/pass_at_1"] == 0.75);
  CHECK_FALSE(std::getline(file, line));
}

TEST_CASE("metrics_log: importance weights are there with an off-policy correction") {
  StepMetrics step;
  step.stage = Stage::kGrpo;
  step.importance_weight_mean = 1.5;
  step.importance_weight_max = 2;
  step.importance_truncated_share = 0.25;
  const auto json = to_line(step);
  CHECK(json["importance_weight/mean"] == 1.5);
  CHECK(json["importance_weight/max"] == 2);
  CHECK(json["importance_weight/truncated"] == 0.25);
}

TEST_CASE("metrics_log: a step of the cold start has no rewards") {
  StepMetrics step;
  step.stage = Stage::kSft;
  const auto json = to_line(step);
  CHECK(json["stage"] == "sft");
  CHECK_FALSE(json.contains("reward/mean"));
}

}  // namespace
}  // namespace troupe::cluster

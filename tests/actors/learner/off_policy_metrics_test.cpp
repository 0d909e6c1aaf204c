#include "actors/learner/off_policy_metrics.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

TEST_CASE("off_policy_metrics: buckets are powers of two from 64 on") {
  CHECK(length_bucket(0) == "0-63");
  CHECK(length_bucket(63) == "0-63");
  CHECK(length_bucket(64) == "64-127");
  CHECK(length_bucket(127) == "64-127");
  CHECK(length_bucket(128) == "128-255");
  CHECK(length_bucket(1 << 15) == "32768-65535");
}

// A response behind a prompt of two tokens, by versions with so many tokens each.
Trajectory trajectory(std::vector<std::pair<uint64_t, uint32_t>> versions) {
  Trajectory t;
  t.loss_mask = {0, 0};
  for (const auto& [version, tokens] : versions) {
    const auto begin = static_cast<uint32_t>(t.loss_mask.size());
    t.loss_mask.resize(begin + tokens, 1);
    t.versions.push_back({PolicyVersion{version}, begin, begin + tokens});
  }
  t.tokens.resize(t.loss_mask.size());
  return t;
}

TEST_CASE("off_policy_metrics: staleness by tokens and trajectories, ratios by length") {
  const std::vector<Trajectory> all = {
      trajectory({{4, 10}}),            // 6 steps old.
      trajectory({{2, 30}, {9, 10}}),   // 8 and 1: 6.25 on average.
      trajectory({{10, 100}}),          // Of the policy itself.
      trajectory({{7, 60}, {12, 20}}),  // 3, and a version from the future: 2.25.
  };
  std::vector<const Trajectory*> trajectories;
  for (const auto& one : all) trajectories.push_back(&one);
  const std::vector<model::SequenceResult> sequences = {
      {1.0, 11, 1.5, 0}, {3.0, 60, 4.0, 5}, {0.0, 100, 1.0, 0}, {9.0, 90, 2.5, 18}};
  StepMetrics metrics;
  add_off_policy_metrics(trajectories, PolicyVersion{10}, sequences, true, metrics);
  CHECK(metrics.staleness_steps_mean == (6 + 6.25 + 0 + 2.25) / 4);
  CHECK(metrics.staleness_steps_max == 8);
  CHECK(metrics.staleness_steps_by_length ==
        std::map<std::string, double>{{"0-63", 12.25 / 2}, {"64-127", 2.25 / 2}});
  CHECK(metrics.log_ratio_abs_by_length ==
        std::map<std::string, double>{{"0-63", 4.0 / 50}, {"64-127", 9.0 / 180}});
  CHECK(metrics.importance_weight_mean == 261.0 / 230);
  CHECK(metrics.importance_weight_max == 4.0);
  CHECK(metrics.importance_truncated_share == 23.0 / 230);

  StepMetrics plain;
  add_off_policy_metrics(trajectories, PolicyVersion{10}, sequences, false, plain);
  CHECK(plain.staleness_steps_mean == metrics.staleness_steps_mean);
  CHECK(plain.log_ratio_abs_by_length == metrics.log_ratio_abs_by_length);
  CHECK(plain.importance_weight_mean == 0);
  CHECK(plain.importance_weight_max == 0);
  CHECK(plain.importance_truncated_share == 0);
}

TEST_CASE("off_policy_metrics: tokens of the environment are nobody's") {
  Trajectory t = trajectory({{1, 4}, {5, 4}});
  t.loss_mask[2] = t.loss_mask[3] = t.loss_mask[4] = 0;
  const std::vector<const Trajectory*> trajectories = {&t};
  StepMetrics metrics;
  add_off_policy_metrics(trajectories, PolicyVersion{5}, std::vector<model::SequenceResult>(1),
                         false, metrics);
  CHECK(metrics.staleness_steps_mean == 4.0 / 5);
  CHECK(metrics.staleness_steps_max == 4);
}

TEST_CASE("off_policy_metrics: of nothing there is nothing to say") {
  StepMetrics metrics;
  add_off_policy_metrics({}, PolicyVersion{5}, {}, true, metrics);
  CHECK(metrics.staleness_steps_mean == 0);
  CHECK(metrics.staleness_steps_by_length.empty());
  CHECK(metrics.log_ratio_abs_by_length.empty());
  CHECK(metrics.importance_weight_mean == 0);
}

}  // namespace
}  // namespace troupe::actors

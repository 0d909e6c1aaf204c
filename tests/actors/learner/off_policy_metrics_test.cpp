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

TEST_CASE("off_policy_metrics: staleness by trajectories, ratios by length") {
  // Responses of 10, 40, 100 and 80 tokens.
  const std::vector<SequenceFacts> facts = {
      {12, 10, 6, 6}, {42, 40, 6.25, 8}, {102, 100, 0, 0}, {82, 80, 2.25, 3}};
  const std::vector<model::SequenceResult> sequences = {
      {1.0, 11, 1.5, 0}, {3.0, 60, 4.0, 5}, {0.0, 100, 1.0, 0}, {9.0, 90, 2.5, 18}};
  StepMetrics metrics;
  add_off_policy_metrics(facts, sequences, true, metrics);
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
  add_off_policy_metrics(facts, sequences, false, plain);
  CHECK(plain.staleness_steps_mean == metrics.staleness_steps_mean);
  CHECK(plain.log_ratio_abs_by_length == metrics.log_ratio_abs_by_length);
  CHECK(plain.importance_weight_mean == 0);
  CHECK(plain.importance_weight_max == 0);
  CHECK(plain.importance_truncated_share == 0);
}

TEST_CASE("off_policy_metrics: of nothing there is nothing to say") {
  StepMetrics metrics;
  add_off_policy_metrics({}, {}, true, metrics);
  CHECK(metrics.staleness_steps_mean == 0);
  CHECK(metrics.staleness_steps_by_length.empty());
  CHECK(metrics.log_ratio_abs_by_length.empty());
  CHECK(metrics.importance_weight_mean == 0);
}

}  // namespace
}  // namespace troupe::actors

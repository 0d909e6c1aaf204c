#include "actors/controller/round_metrics.h"

#include <cmath>

#include "actors/controller/group_texts.h"
#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

// One response and what its two parts are worth; the second has a quarter of the weight.
Trajectory judged(const SampledResponse& response, bool is_right, bool is_formed) {
  Trajectory made = make_trajectory({}, 0, {.tokens = {'q'}}, PolicyVersion{1}, response);
  made.verdict.parts = {{.name = "accuracy",
                         .kind = is_right ? VerdictKind::kEqual : VerdictKind::kDifferent,
                         .value = is_right ? 1.0f : 0.0f},
                        {.name = "form",
                         .kind = is_formed ? VerdictKind::kWellFormed : VerdictKind::kMalformed,
                         .value = is_formed ? 1.0f : 0.0f,
                         .weight = 0.25f}};
  return made;
}

TEST_CASE("round metrics: sums over trajectories, and over groups where groups are meant") {
  JobSpec job;
  job.rewards = {{.name = "accuracy", .verifier = "math"},
                 {.name = "form", .verifier = "r1_format", .weight = 0.25}};
  const SampledResponse thoughtful = tests::response("<think>x</think>", FinishReason::kLength);
  const GroupRecord mixed{
      {judged(thoughtful, true, true), judged(tests::response("ab"), false, false)}};
  const GroupRecord alike{
      {judged(tests::response("cd"), false, true), judged(tests::response("ef"), false, true)}};
  CHECK(has_variance(mixed));
  CHECK_FALSE(has_variance(alike));
  const std::vector<const GroupRecord*> groups = {&mixed, &alike};
  const StepMetrics metrics = round_metrics(Round{3}, groups, job, model::Tokenizer());
  CHECK(metrics.stage == Stage::kGrpo);
  CHECK(metrics.round == Round{3});
  CHECK(metrics.reward_mean == (1.25 + 0 + 0.25 + 0.25) / 4);
  const double mean_square = (1.25 * 1.25 + 2 * 0.25 * 0.25) / 4;
  CHECK(metrics.reward_std == std::sqrt(mean_square - metrics.reward_mean * metrics.reward_mean));
  CHECK(metrics.accuracy == 0.25);
  CHECK(metrics.format_share == 0.75);
  CHECK(metrics.thinking_share == 0.25);
  CHECK(metrics.response_length_clipped == 0.25);
  CHECK(metrics.tokens_generated == 16 + 2 + 2 + 2);
  CHECK(metrics.response_length_mean == 5.5);
  CHECK(metrics.frac_reward_zero_std == 0.5);
  CHECK(metrics.reward_values.at("form") == 0.75);
  CHECK(metrics.verdicts.at("accuracy/different") == 3);
}

TEST_CASE("round metrics: a round whose groups were all dropped has numbers") {
  const StepMetrics metrics = round_metrics(Round{3}, {}, tests::small_job(), model::Tokenizer());
  CHECK(metrics.round == Round{3});
  CHECK(metrics.reward_mean == 0);
  CHECK(metrics.frac_reward_zero_std == 0);
}

}  // namespace
}  // namespace troupe::actors

// The role with an off-policy correction, against the learner driven by hand.
#include "actors/learner/learner_role.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "actors/crew/step_plan.h"
#include "actors/learner/off_policy_metrics.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/formats/checkpoint.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/training/advantage.h"
#include "model/transformer/initialise.h"
#include "schemas/records_codec.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::actors {
namespace {

using model::ByteTokenizer;

const kernels::Backend& backend() { return *kernels::cpu_backends().front(); }

model::TransformerConfig byte_config() {
  auto config = tests::tiny_config();
  config.vocab_size = ByteTokenizer::kVocabularySize;
  config.bos_token_id = ByteTokenizer::kBos;
  config.eos_token_id = ByteTokenizer::kEos;
  return config;
}

constexpr int64_t kContextMax = 128;
constexpr int64_t kGroupSize = 3;

// A folder with a policy, and jobs that begin with it: two rounds of two steps each.
struct Fixture {
  Fixture() {
    REQUIRE(model::save_checkpoint(
        folder, {.config = config, .values = tests::lively_parameters(config, layout, 3)}));
    values = model::load_checkpoint(folder)->values;
  }

  JobSpec job(const std::string& correction) const {
    JobSpec job;
    job.policy.config.clear();
    job.policy.model = folder;
    job.data.template_name = "plain";
    job.grpo.steps = 4;
    job.grpo.minibatches_per_round = 2;
    job.grpo.group_size = kGroupSize;
    job.grpo.off_policy_correction = correction;
    job.grpo.importance_cap = 1.2;
    job.grpo.kl_coef = 0.01;
    job.rollout.temperature = 1.4;
    job.learner.microbatch_tokens = 160;
    job.rewards = {{.name = "accuracy", .verifier = "math", .weight = 1.0}};
    return job;
  }

  std::unique_ptr<LearnerRole> role(const JobSpec& job, uint32_t threads = 1) const {
    auto made = LearnerRole::create(
        backend(), {.learner_threads = threads, .job = job, .context_max = kContextMax});
    REQUIRE(made);
    return std::move(*made);
  }

  tests::TempDir dir{};
  std::string folder = dir.file("policy");
  model::TransformerConfig config = byte_config();
  model::ParameterLayout layout{config};
  std::vector<float> values{};
};

// As a policy that is not the learner's would have sampled it.
GroupRecord group(uint32_t ordinal, uint64_t version = 0) {
  kernels::RandomStream random(100 + ordinal, kernels::StreamId::kMakeData);
  GroupRecord record;
  for (uint32_t sample = 0; sample < kGroupSize; ++sample) {
    Trajectory t;
    t.id = {{Round{0}, ordinal}, sample};
    const auto begin = static_cast<uint32_t>(2 + random.below(4));
    const auto end = static_cast<uint32_t>(begin + 1 + random.below(100));
    for (uint32_t i = 0; i < end; ++i) {
      t.tokens.push_back(static_cast<int32_t>(random.below(256)));
      t.loss_mask.push_back(i < begin ? 0 : 1);
      t.rollout_logprobs.push_back(i < begin ? 0.0f : static_cast<float>(-5.5 - random.uniform()));
    }
    t.segments = {{SegmentRole::kPrompt, 0, begin}, {SegmentRole::kPolicy, begin, end}};
    t.versions = {{PolicyVersion{version}, begin, end}};
    t.verdict.parts = {{.name = "accuracy",
                        .kind = sample == 0 ? VerdictKind::kEqual : VerdictKind::kDifferent,
                        .value = sample == 0 ? 1.0f : 0.0f,
                        .weight = 1.0f}};
    record.trajectories.push_back(std::move(t));
  }
  return record;
}

LearnStep step(uint64_t version, const std::vector<GroupRecord>& groups,
               const std::vector<GroupRecord>& later = {}) {
  LearnStep step{.version = PolicyVersion{version},
                 .stage = Stage::kGrpo,
                 .learning_rate = 3e-3,
                 .begins_stage = version == 1};
  for (const auto& one : groups) step.groups.push_back(encode(one));
  if (!later.empty()) step.later_minibatches.emplace_back();
  for (const auto& one : later) step.later_minibatches.back().push_back(encode(one));
  return step;
}

Result<StepLearned> try_to_learn(LearnerRole& role, const JobSpec& job, const LearnStep& step) {
  const auto shares = plan_step(job, step, 1);
  REQUIRE(shares);
  return role.learn(shares->front());
}

StepMetrics learn(LearnerRole& role, const JobSpec& job, const LearnStep& step) {
  auto learned = try_to_learn(role, job, step);
  REQUIRE_MESSAGE(learned, learned.error().message);
  return learned->metrics;
}

// The same step told by hand.
class ByHand {
 public:
  ByHand(const Fixture& fixture, const JobSpec& job)
      : fixture_(fixture),
        job_(job),
        learner_(backend(), fixture.config, fixture.layout, threads_, fixture.values,
                 {.microbatch_tokens = job.learner.microbatch_tokens,
                  .context_max = kContextMax,
                  .gradient_lanes = job.learner.gradient_lanes,
                  .has_reference = true}) {}

  std::vector<std::vector<float>> score(const GroupRecord& group) {
    std::vector<model::LearnSequence> sequences;
    for (const auto& t : group.trajectories) {
      sequences.push_back({.tokens = t.tokens, .loss_mask = t.loss_mask});
    }
    return learner_.score(sequences, static_cast<float>(job_.rollout.temperature));
  }

  double learn(const GroupRecord& group, const std::vector<std::vector<float>>& old_logprobs) {
    std::vector<float> rewards;
    for (const auto& t : group.trajectories) rewards.push_back(t.verdict.reward());
    const auto advantages =
        model::group_advantages(rewards, model::AdvantageKind::kGroupNormalised);
    std::vector<model::LearnSequence> batch;
    for (size_t i = 0; i < rewards.size(); ++i) {
      const Trajectory& t = group.trajectories[i];
      batch.push_back({.tokens = t.tokens,
                       .loss_mask = t.loss_mask,
                       .rollout_logprobs = t.rollout_logprobs,
                       .old_logprobs = old_logprobs[i],
                       .advantage = advantages[i],
                       .token_weight = 1.0 / (static_cast<double>(rewards.size()) *
                                              static_cast<double>(t.num_response_tokens()))});
    }
    const auto result = learner_.step(
        batch, {.grpo = model::GrpoObjective{.kl_coef = job_.grpo.kl_coef,
                                             .off_policy_correction = model::off_policy_correction(
                                                 job_.grpo.off_policy_correction),
                                             .importance_cap = job_.grpo.importance_cap},
                .temperature = static_cast<float>(job_.rollout.temperature),
                .learning_rate = 3e-3});
    REQUIRE(result);
    return result->loss;
  }

  std::string weights_sha256() const {
    return model::checkpoint_sha256(fixture_.config, learner_.published());
  }

 private:
  const Fixture& fixture_;
  const JobSpec job_;
  model::Threads threads_{1};
  model::Learner learner_;
};

TEST_CASE("learner_role: later minibatches are held against the policy of the round's beginning") {
  const Fixture fixture;
  const GroupRecord first = group(0), second = group(1);
  for (const std::string correction : {"decoupled", "truncated"}) {
    CAPTURE(correction);
    const JobSpec job = fixture.job(correction);
    ByHand by_hand(fixture, job), by_hand_wrongly(fixture, job);
    const auto old_of_first = by_hand.score(first), old_of_second = by_hand.score(second);
    const double first_loss = by_hand.learn(first, old_of_first);
    const auto current_of_second = by_hand.score(second);
    CHECK(current_of_second != old_of_second);
    const double second_loss = by_hand.learn(second, old_of_second);
    by_hand_wrongly.learn(first, old_of_first);
    by_hand_wrongly.learn(second, by_hand_wrongly.score(second));
    CHECK(by_hand.weights_sha256() != by_hand_wrongly.weights_sha256());

    StepMetrics first_metrics, second_metrics;
    for (const uint32_t threads : {1, 2, 4}) {
      CAPTURE(threads);
      const auto role = fixture.role(job, threads);
      first_metrics = learn(*role, job, step(1, {first}, {second}));
      second_metrics = learn(*role, job, step(2, {second}));
      CHECK(first_metrics.loss == first_loss);
      CHECK(second_metrics.loss == second_loss);
      CHECK(*role->weights_sha256() == by_hand.weights_sha256());
      // Against the policy itself nothing has moved at the first step, and something at the second.
      CHECK(first_metrics.ratio_max == 1);
      CHECK(second_metrics.ratio_max > 1);
      CHECK(first_metrics.staleness_steps_max == 0);
      CHECK(second_metrics.staleness_steps_max == 1);
      CHECK(second_metrics.staleness_steps_mean == 1);
    }
    double weights = 0, weight_max = 0, tokens = 0;
    std::map<std::string, std::pair<double, double>> by_length;  // Sum of |log ratio|, tokens.
    for (size_t i = 0; i < second.trajectories.size(); ++i) {
      const Trajectory& t = second.trajectories[i];
      auto& [difference, tokens_of_length] = by_length[length_bucket(t.num_response_tokens())];
      for (size_t j = 0; j < t.tokens.size(); ++j) {
        if (t.loss_mask[j] == 0) continue;
        double weight = std::exp(static_cast<double>(old_of_second[i][j]) -
                                 static_cast<double>(t.rollout_logprobs[j]));
        if (correction == "truncated") weight = std::min(weight, 1.2);
        difference += std::fabs(static_cast<double>(current_of_second[i][j]) -
                                static_cast<double>(t.rollout_logprobs[j]));
        tokens_of_length += 1;
        weights += weight;
        weight_max = std::max(weight_max, weight);
        tokens += 1;
      }
    }
    CHECK(second_metrics.importance_weight_mean == doctest::Approx(weights / tokens));
    CHECK(second_metrics.importance_weight_max == doctest::Approx(weight_max));
    CHECK((second_metrics.importance_truncated_share > 0) == (correction == "truncated"));
    REQUIRE(second_metrics.log_ratio_abs_by_length.size() == by_length.size());
    for (const auto& [length, sums] : by_length) {
      CHECK(second_metrics.log_ratio_abs_by_length.at(length) ==
            doctest::Approx(sums.first / sums.second));
    }
  }
}

TEST_CASE("learner_role: a group that the round's first step did not bring is refused by name") {
  const Fixture fixture;
  const JobSpec job = fixture.job("decoupled");
  const auto role = fixture.role(job);
  learn(*role, job, step(1, {group(0)}, {group(1)}));
  const auto refused = try_to_learn(*role, job, step(2, {group(7)}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInternal);
  CHECK(refused.error().message.find("round 0, group 7") != std::string::npos);
  CHECK(role->version() == PolicyVersion{1});
}

TEST_CASE("learner_role: what a round's beginning said of its groups ends with the round") {
  const Fixture fixture;
  JobSpec job = fixture.job("truncated");
  const auto role = fixture.role(job);
  learn(*role, job, step(1, {group(0)}, {group(1), group(2)}));
  learn(*role, job, step(2, {group(1)}));  // Group 2 is left over.
  learn(*role, job, step(3, {group(3)}, {group(4)}));
  CHECK_FALSE(try_to_learn(*role, job, step(4, {group(2)})));
  CHECK_FALSE(try_to_learn(*role, job, step(4, {group(1)})));
  learn(*role, job, step(4, {group(4)}));

  // Of a group that was learned nothing is kept within the round either.
  job = fixture.job("decoupled");
  job.grpo.minibatches_per_round = 4;
  const auto longer = fixture.role(job);
  learn(*longer, job, step(1, {group(0)}, {group(1), group(2)}));
  learn(*longer, job, step(2, {group(1)}));
  CHECK_FALSE(try_to_learn(*longer, job, step(3, {group(1)})));
}

TEST_CASE("learner_role: without a correction nobody looks back") {
  const Fixture fixture;
  const JobSpec job = fixture.job("none");
  const auto role = fixture.role(job);
  learn(*role, job, step(1, {group(0)}));
  const StepMetrics metrics = learn(*role, job, step(2, {group(1)}));
  CHECK(metrics.importance_weight_max == 0);
  CHECK(metrics.staleness_steps_max == 1);
  CHECK_FALSE(metrics.log_ratio_abs_by_length.empty());
}

}  // namespace
}  // namespace troupe::actors

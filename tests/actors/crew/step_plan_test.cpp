#include "actors/crew/step_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/random.h"
#include "model/training/advantage.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

JobSpec job_of(int64_t lanes = 4) {
  JobSpec job;
  job.learner.gradient_lanes = lanes;
  job.learner.microbatch_tokens = 100;
  job.sft.steps = 3;
  job.grpo.minibatches_per_round = 2;
  return job;
}

// Responses of 1 to 60 tokens behind a prompt of two, by two versions.
GroupRecord group(uint32_t ordinal, uint64_t version = 3) {
  kernels::RandomStream random(100 + ordinal, kernels::StreamId::kMakeData);
  GroupRecord record;
  for (uint32_t sample = 0; sample < 3; ++sample) {
    Trajectory t;
    t.id = {{Round{0}, ordinal}, sample};
    const auto end = static_cast<uint32_t>(3 + random.below(60));
    for (uint32_t i = 0; i < end; ++i) {
      t.tokens.push_back(static_cast<int32_t>(random.below(256)));
      t.loss_mask.push_back(i < 2 ? 0 : 1);
      t.rollout_logprobs.push_back(i < 2 ? 0.0f : static_cast<float>(-random.uniform()));
    }
    t.segments = {{SegmentRole::kPrompt, 0, 2}, {SegmentRole::kPolicy, 2, end}};
    t.versions = {{PolicyVersion{version}, 2, end}};
    t.verdict.parts = {{.name = "accuracy",
                        .kind = sample == 0 ? VerdictKind::kEqual : VerdictKind::kDifferent,
                        .value = sample == 0 ? 1.0f : 0.0f,
                        .weight = 1.0f}};
    record.trajectories.push_back(std::move(t));
  }
  return record;
}

EncodedGroups groups(uint32_t begin, uint32_t end) {
  EncodedGroups encoded;
  for (uint32_t i = begin; i < end; ++i) encoded.push_back(encode(group(i)));
  return encoded;
}

LearnStep grpo_step(uint64_t version, EncodedGroups learned) {
  return {.version = PolicyVersion{version},
          .stage = Stage::kGrpo,
          .learning_rate = 0.5,
          .groups = std::move(learned)};
}

std::vector<LearnShare> plan(const JobSpec& job, const LearnStep& step, uint32_t num_ranks = 1) {
  auto shares = plan_step(job, step, num_ranks);
  REQUIRE(shares);
  REQUIRE(shares->size() == num_ranks);
  return std::move(*shares);
}

TEST_CASE("step plan: every sequence is learned by one rank, and all know of it") {
  const LearnStep step = grpo_step(4, groups(0, 12));
  const auto alone = plan(job_of(), step)[0];
  REQUIRE(alone.sequences.size() == 36);
  REQUIRE(alone.own.size() == 36);
  for (const uint32_t num_ranks : {2u, 4u}) {
    std::set<uint32_t> seen;
    for (const LearnShare& share : plan(job_of(), step, num_ranks)) {
      CHECK(share.sequences == alone.sequences);
      CHECK_FALSE(share.own.empty());
      CHECK(std::is_sorted(share.own.begin(), share.own.end(),
                           [](const auto& a, const auto& b) { return a.index < b.index; }));
      for (const SequenceToLearn& one : share.own) {
        CHECK(seen.insert(one.index).second);
        const SequenceToLearn& same = alone.own[one.index];
        CHECK(one.tokens == same.tokens);
        CHECK(one.id == same.id);
        CHECK(one.advantage == same.advantage);
        CHECK(one.token_weight == same.token_weight);
        CHECK(one.rollout_logprobs == same.rollout_logprobs);
      }
    }
    CHECK(seen.size() == 36);
  }
}

TEST_CASE("step plan: a rank scores before the round what it learns later in it") {
  const JobSpec job = job_of();
  LearnStep first = grpo_step(4, groups(0, 6));
  first.later_minibatches = {groups(6, 12), groups(12, 13), {}};
  const auto shares = plan(job, first, 4);
  const auto second = plan(job, grpo_step(5, groups(6, 12)), 4);
  const auto third = plan(job, grpo_step(6, groups(12, 13)), 4);
  for (size_t rank = 0; rank < 4; ++rank) {
    std::vector<TrajectoryId> scored, learned;
    for (const auto& one : shares[rank].later) {
      scored.push_back(one.id);
      CHECK(one.rollout_logprobs.empty());
    }
    for (const auto* later : {&second, &third}) {
      for (const auto& one : (*later)[rank].own) learned.push_back(one.id);
    }
    CHECK(scored == learned);
  }
  CHECK(shares[0].begins_round);
  CHECK_FALSE(second[0].begins_round);
  CHECK(third[0].begins_round);  // Two steps a round.
}

TEST_CASE("step plan: advantages are of the group, weights of the whole minibatch") {
  JobSpec job = job_of();
  const LearnShare by_sequence = plan(job, grpo_step(4, groups(0, 2)))[0];
  job.grpo.loss_aggregation = "token_mean";
  const LearnShare by_token = plan(job, grpo_step(4, groups(0, 2)))[0];
  const std::vector<float> rewards = {1, 0, 0};
  const auto advantages = model::group_advantages(rewards, model::AdvantageKind::kGroupNormalised);
  double tokens = 0, absolute = 0;
  for (const auto& facts : by_token.sequences) tokens += facts.num_learned;
  for (size_t i = 0; i < 6; ++i) {
    const uint32_t learned = by_sequence.sequences[i].num_learned;
    CHECK(by_sequence.sequences[i].num_tokens == learned + 2);
    CHECK(by_sequence.own[i].advantage == advantages[i % 3]);
    CHECK(by_sequence.own[i].token_weight == 1.0 / (6.0 * learned));
    CHECK(by_token.own[i].token_weight == 1.0 / tokens);
    absolute += std::fabs(advantages[i % 3]);
  }
  CHECK(by_sequence.advantage_abs_mean == absolute / 6);
}

TEST_CASE("step plan: a demonstration weighs by its tokens, whatever reinforcement is told") {
  const LearnStep step{.version = PolicyVersion{1},
                       .demonstrations = {{{1, 2, 3}, {0, 1, 1}}, {{4, 5, 6, 7}, {0, 0, 0, 1}}}};
  const LearnShare share = plan(job_of(), step)[0];
  REQUIRE(share.own.size() == 2);
  CHECK(share.own[0].token_weight == 1.0 / 3);
  CHECK(share.own[1].token_weight == 1.0 / 3);
  CHECK(share.sequences[1] == SequenceFacts{4, 1, 0, 0});
  CHECK_FALSE(share.begins_round);
}

TEST_CASE("step plan: what is compared bit by bit is by the learner's own version") {
  LearnStep step = grpo_step(4, groups(0, 16));
  const auto num_rescored = [](const LearnShare& share) {
    return std::count_if(share.own.begin(), share.own.end(),
                         [](const SequenceToLearn& one) { return one.is_rescored; });
  };
  CHECK(num_rescored(plan(job_of(), step)[0]) == 0);
  step.rescores = true;
  CHECK(num_rescored(plan(job_of(), step)[0]) == 8);
  auto shares = plan(job_of(), step, 2);
  CHECK(num_rescored(shares[0]) + num_rescored(shares[1]) == 8);
  step.groups[0] = encode(group(0, 2));  // By a version that is gone.
  CHECK(num_rescored(plan(job_of(), step)[0]) == 7);
}

TEST_CASE("step plan: staleness is a mean over the learned tokens of all versions") {
  GroupRecord record = group(0);
  Trajectory& t = record.trajectories[0];
  t.tokens.assign(42, 1);
  t.loss_mask.assign(42, 1);
  t.loss_mask[0] = t.loss_mask[1] = 0;
  t.rollout_logprobs.assign(42, -1.0f);
  t.rollout_logprobs[0] = t.rollout_logprobs[1] = 0;
  t.segments = {{SegmentRole::kPrompt, 0, 2}, {SegmentRole::kPolicy, 2, 42}};
  // 8 and 1 steps old, and one from the future, which is not old.
  t.versions = {{PolicyVersion{2}, 2, 22}, {PolicyVersion{9}, 22, 32}, {PolicyVersion{12}, 32, 42}};
  const LearnShare share = plan(job_of(), grpo_step(11, {encode(record)}))[0];
  CHECK(share.sequences[0] == SequenceFacts{42, 40, (20 * 8 + 10) / 40.0, 8});
}

TEST_CASE("step plan: groups that cannot be read are refused") {
  const auto refused = plan_step(job_of(), grpo_step(4, {{std::byte{1}, std::byte{2}}}), 2);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kCorruption);
  LearnStep later = grpo_step(4, groups(0, 1));
  later.later_minibatches = {{{std::byte{1}}}};
  CHECK_FALSE(plan_step(job_of(), later, 2));
}

}  // namespace
}  // namespace troupe::actors

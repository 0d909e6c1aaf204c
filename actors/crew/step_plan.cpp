#include "actors/crew/step_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/parallel/team_layout.h"
#include "model/training/advantage.h"
#include "model/training/packing.h"
#include "schemas/check.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

// Trajectories that are re-scored where a step asks for it.
constexpr size_t kRescored = 8;

Result<std::vector<GroupRecord>> decode_groups(const EncodedGroups& encoded) {
  std::vector<GroupRecord> groups;
  for (const auto& bytes : encoded) {
    auto group = decode_group_record(bytes);
    if (!group) return group.error();
    groups.push_back(std::move(*group));
  }
  return groups;
}

uint32_t num_learned(const std::vector<uint8_t>& loss_mask) {
  return static_cast<uint32_t>(std::count(loss_mask.begin(), loss_mask.end(), 1));
}

SequenceFacts facts_of(const Trajectory& trajectory, PolicyVersion before) {
  SequenceFacts facts{.num_tokens = static_cast<uint32_t>(trajectory.tokens.size()),
                      .num_learned = num_learned(trajectory.loss_mask)};
  int64_t tokens = 0;
  for (const VersionRange& range : trajectory.versions) {
    const auto first = trajectory.loss_mask.begin();
    const auto learned = std::count(first + range.begin, first + range.end, 1);
    if (learned == 0) continue;
    const auto steps = static_cast<int64_t>(staleness(before, range.version));
    tokens += learned;
    facts.staleness_mean += static_cast<double>(steps * learned);
    facts.staleness_max = std::max(facts.staleness_max, static_cast<uint32_t>(steps));
  }
  if (tokens > 0) facts.staleness_mean /= static_cast<double>(tokens);
  return facts;
}

// Older versions are not there to be asked.
bool is_by(const Trajectory& trajectory, PolicyVersion version) {
  return std::all_of(trajectory.versions.begin(), trajectory.versions.end(),
                     [&](const VersionRange& range) { return range.version == version; });
}

SequenceToLearn to_sequence(Trajectory&& trajectory) {
  return {.tokens = std::move(trajectory.tokens),
          .loss_mask = std::move(trajectory.loss_mask),
          .id = trajectory.id,
          .rollout_logprobs = std::move(trajectory.rollout_logprobs)};
}

// Which rank learns each sequence of a minibatch with these lengths.
std::vector<uint32_t> ranks_by_sequence(const JobSpec& job, const std::vector<int64_t>& lengths,
                                        const model::TeamLayout& team) {
  std::vector<uint32_t> ranks(lengths.size());
  const auto microbatches = model::pack(lengths, job.learner.microbatch_tokens);
  for (size_t i = 0; i < microbatches.size(); ++i) {
    const auto rank = static_cast<uint32_t>(team.rank_of(static_cast<int64_t>(i)));
    for (const size_t index : microbatches[i]) ranks[index] = rank;
  }
  return ranks;
}

// All sequences of the minibatch, whoever learns them.
struct Whole {
  std::vector<SequenceToLearn> sequences{};
  std::vector<SequenceFacts> facts{};
  double advantage_abs_mean = 0;
};

void add_demonstrations(const LearnStep& step, Whole& whole) {
  for (const Demonstration& one : step.demonstrations) {
    whole.facts.push_back({.num_tokens = static_cast<uint32_t>(one.tokens.size()),
                           .num_learned = num_learned(one.loss_mask)});
    whole.sequences.push_back({.tokens = one.tokens, .loss_mask = one.loss_mask});
  }
}

void add_groups(const JobSpec& job, const LearnStep& step, std::vector<GroupRecord> groups,
                Whole& whole) {
  const auto kind = model::advantage_kind(job.grpo.advantage);
  const PolicyVersion before{number(step.version) - 1};
  const size_t stride = std::max<size_t>(1, groups.size() / kRescored);
  double absolute = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    auto& trajectories = groups[g].trajectories;
    std::vector<float> rewards;
    for (const auto& t : trajectories) rewards.push_back(t.verdict.reward());
    const auto advantages = model::group_advantages(rewards, kind);
    for (size_t i = 0; i < trajectories.size(); ++i) {
      Trajectory& t = trajectories[i];
      absolute += std::fabs(advantages[i]);
      whole.facts.push_back(facts_of(t, before));
      const bool is_sampled = g % stride == 0 && i == g % trajectories.size();
      const bool is_rescored = step.rescores && is_sampled && is_by(t, before);
      SequenceToLearn& sequence = whole.sequences.emplace_back(to_sequence(std::move(t)));
      sequence.advantage = advantages[i];
      sequence.is_rescored = is_rescored;
    }
  }
  if (!whole.sequences.empty()) {
    whole.advantage_abs_mean = absolute / static_cast<double>(whole.sequences.size());
  }
}

// Learned tokens are counted before packing: they fix what each token weighs.
void add_weights(const JobSpec& job, Stage stage, Whole& whole) {
  int64_t tokens = 0;
  for (const SequenceFacts& facts : whole.facts) tokens += facts.num_learned;
  const bool is_token_mean = stage == Stage::kSft || job.grpo.loss_aggregation == "token_mean";
  const auto count = static_cast<double>(whole.sequences.size());
  for (size_t i = 0; i < whole.sequences.size(); ++i) {
    whole.sequences[i].token_weight =
        is_token_mean ? 1.0 / static_cast<double>(tokens)
                      : 1.0 / (count * static_cast<double>(whole.facts[i].num_learned));
  }
}

std::vector<int64_t> lengths_of(const std::vector<SequenceToLearn>& sequences) {
  std::vector<int64_t> lengths;
  for (const auto& one : sequences) lengths.push_back(static_cast<int64_t>(one.tokens.size()));
  return lengths;
}

}  // namespace

Result<std::vector<LearnShare>> plan_step(const JobSpec& job, const LearnStep& step,
                                          uint32_t num_ranks) {
  const auto team = model::TeamLayout::create(static_cast<int>(num_ranks),
                                              job.learner.gradient_lanes, job.learner.lane_width);
  TROUPE_CHECK(team);
  Whole whole;
  add_demonstrations(step, whole);
  if (step.stage == Stage::kGrpo) {
    auto groups = decode_groups(step.groups);
    if (!groups) return groups.error();
    add_groups(job, step, std::move(*groups), whole);
  }
  add_weights(job, step.stage, whole);

  const auto steps_before = static_cast<int64_t>(number(step.version)) - 1 - job.sft.steps;
  std::vector<LearnShare> shares(num_ranks);
  for (LearnShare& share : shares) {
    share.version = step.version;
    share.stage = step.stage;
    share.learning_rate = step.learning_rate;
    share.balance_bias_rate = step.balance_bias_rate;
    share.begins_stage = step.begins_stage;
    share.refreshes_reference = step.refreshes_reference;
    share.begins_round =
        step.stage == Stage::kGrpo && steps_before % job.grpo.minibatches_per_round == 0;
    share.advantage_abs_mean = whole.advantage_abs_mean;
    share.sequences = whole.facts;
  }
  const auto ranks = ranks_by_sequence(job, lengths_of(whole.sequences), *team);
  for (size_t i = 0; i < ranks.size(); ++i) {
    whole.sequences[i].index = static_cast<uint32_t>(i);
    shares[ranks[i]].own.push_back(std::move(whole.sequences[i]));
  }
  for (const EncodedGroups& minibatch : step.later_minibatches) {
    auto groups = decode_groups(minibatch);
    if (!groups) return groups.error();
    std::vector<SequenceToLearn> later;
    for (GroupRecord& group : *groups) {
      for (Trajectory& t : group.trajectories) later.push_back(to_sequence(std::move(t)));
    }
    const auto ranks_of_later = ranks_by_sequence(job, lengths_of(later), *team);
    for (size_t i = 0; i < later.size(); ++i) {
      // Only scored, so what was recorded of it is not wanted.
      later[i].rollout_logprobs.clear();
      shares[ranks_of_later[i]].later.push_back(std::move(later[i]));
    }
  }
  return shares;
}

}  // namespace troupe::actors

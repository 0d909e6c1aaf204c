// What workers compute, without tensors: weights are a hash of everything that was learned, and a
// response is a function of the weights and of what was asked. Whoever learns something else, in
// another order, from another start, or generates with another version ends with another hash.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/job/prepared_job.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "schemas/records_codec.h"
#include "schemas/work.h"
#include "tests/sim/simulated_clock.h"

namespace troupe::tests {

struct FakeLearner {
  PolicyVersion version{};
  uint64_t weights = 1;
  uint64_t moments = 0;
  uint64_t reference = 1;
  uint64_t defect = 0;  // Of the machine that it is on: it computes other bits.
  // What a correction remembers: the weights that a later group of the round was scored with. No
  // recovery point keeps it.
  std::map<GroupId, uint64_t> scored{};

  std::string weights_name() const { return std::to_string(weights); }
  uint64_t digest() const { return mix(mix(mix(weights, moments), reference), number(version)); }
};

inline uint64_t digest_of(const Trajectory& trajectory) {
  uint64_t hash = mix(trajectory.prompt_index, trajectory.id.sample);
  hash = mix(hash, number(trajectory.id.group.round));
  hash = mix(hash, trajectory.id.group.ordinal);
  for (int32_t token : trajectory.tokens) hash = mix(hash, static_cast<uint64_t>(token));
  for (float logprob : trajectory.rollout_logprobs) {
    hash = mix(hash, bits_of(static_cast<double>(logprob)));
  }
  for (const auto& range : trajectory.versions) hash = mix(hash, number(range.version));
  return mix(hash, bits_of(static_cast<double>(trajectory.verdict.reward())));
}

inline Result<StepLearned> learn(FakeLearner& learner, const LearnStep& step, const JobSpec& job) {
  if (number(step.version) != number(learner.version) + 1) {
    return Error{ErrorCode::kInternal, "asked for step " + std::to_string(number(step.version)) +
                                           " at " + std::to_string(number(learner.version))};
  }
  if (step.begins_stage) {
    learner.moments = 0;
    learner.reference = learner.weights;
  }
  uint64_t hash = mix(learner.digest(), static_cast<uint64_t>(step.stage));
  hash = mix(hash, bits_of(step.learning_rate));
  hash = mix(hash, step.rescores ? 1 : 0);
  if (learner.defect != 0) hash = mix(hash, learner.defect);
  const bool is_corrected = step.stage == Stage::kGrpo && job.grpo.off_policy_correction != "none";
  const bool begins_round = (static_cast<int64_t>(number(step.version)) - 1 - job.sft.steps) %
                                job.grpo.minibatches_per_round ==
                            0;
  if (is_corrected && begins_round) {
    learner.scored.clear();
    for (const auto& bytes : step.later_groups) {
      const auto group = decode_group_record(bytes);
      if (!group) return group.error();
      learner.scored[group->trajectories[0].id.group] = learner.weights;
    }
  } else if (!step.later_groups.empty()) {
    return Error{ErrorCode::kInternal, "later groups that nobody needs"};
  }
  int64_t tokens = 0;
  for (const Demonstration& one : step.demonstrations) {
    tokens += static_cast<int64_t>(one.tokens.size());
    for (int32_t token : one.tokens) hash = mix(hash, static_cast<uint64_t>(token));
  }
  for (const auto& bytes : step.groups) {
    const auto group = decode_group_record(bytes);
    if (!group) return group.error();
    if (is_corrected && !begins_round) {
      const auto old = learner.scored.extract(group->trajectories[0].id.group);
      if (old.empty()) return Error{ErrorCode::kInternal, "a group that was not scored"};
      hash = mix(hash, old.mapped());
    }
    for (const Trajectory& trajectory : group->trajectories) {
      tokens += static_cast<int64_t>(trajectory.tokens.size());
      hash = mix(hash, digest_of(trajectory));
    }
  }
  const bool is_empty = step.demonstrations.empty() && step.groups.empty();
  const bool is_finite = is_empty || hash % 37 != 0;
  if (!is_empty && is_finite) {
    learner.moments = mix(learner.moments, hash);
    learner.weights = mix(hash, learner.moments);
  }
  learner.version = step.version;
  if (step.refreshes_reference) learner.reference = learner.weights;
  StepLearned learned;
  learned.metrics.stage = step.stage;
  learned.metrics.version = step.version;
  learned.metrics.loss = static_cast<double>(hash >> 12);
  learned.metrics.grad_norm = static_cast<double>(mix(hash, 1) >> 12);
  learned.metrics.learning_rate = step.learning_rate;
  learned.metrics.was_skipped = is_empty || !is_finite;
  learned.metrics.was_finite = is_finite;
  learned.metrics.tokens_learned = is_empty ? 0 : tokens;
  learned.core_seconds = 0.1;
  return learned;
}

// About half of the responses are right, some are cut off.
inline SampledResponse respond(uint64_t seed, uint64_t weights, const PromptGroup& group,
                               uint32_t sample) {
  uint64_t hash = mix(mix(seed, weights), number(group.id.round));
  hash = mix(mix(hash, group.id.ordinal), static_cast<uint64_t>(group.purpose));
  for (int32_t token : group.prompt) hash = mix(hash, static_cast<uint64_t>(token));
  hash = mix(hash, sample);
  const std::string right(1, static_cast<char>(group.prompt.front()));
  std::string text = hash % 5 == 0 ? "" : "<think>a</think>";
  text += "<answer>" + (hash % 2 == 0 ? right : "x" + std::to_string(hash % 1000)) + "</answer>";
  SampledResponse response;
  response.tokens = model::ByteTokenizer::encode_markup(text);
  if (hash % 7 == 0) {
    response.finish_reason = FinishReason::kLength;
  } else {
    response.tokens.push_back(model::ByteTokenizer::kEos);
  }
  for (size_t i = 0; i < response.tokens.size(); ++i) {
    response.logprobs.push_back(-static_cast<float>(mix(hash, i) % 1000 + 1) / 1000);
  }
  return response;
}

// ---- Jobs. What is a matter of the history, and what must not be.

struct JobKind {
  std::string zero_variance = "keep";
  bool has_sft = true;
  bool has_gate = false;
  bool has_evaluations = true;
  int64_t minibatches = 1;
  bool is_corrected = false;
  int64_t lag = 0;
  bool is_async = false;
  auto operator<=>(const JobKind&) const = default;
};

inline actors::PreparedJob prepare(const JobKind& kind) {
  actors::PreparedJob prepared;
  JobSpec& job = prepared.job;
  job.seed = 7;
  job.data.cold_start = {"first.jsonl", "second.jsonl"};
  job.sft.steps = kind.has_sft ? 12 : 0;
  job.sft.batch_tokens = 12;
  job.sft.gate_pass_at_1 = kind.has_gate ? 0.7 : 0;
  job.grpo.steps = kind.is_async ? 12 : 6;
  job.grpo.prompts_per_round = 4;
  job.grpo.group_size = 2;
  job.grpo.minibatches_per_round = kind.minibatches;
  job.grpo.zero_variance_groups = kind.zero_variance;
  job.grpo.replacement_rounds_max = 3;
  job.grpo.reference_refresh_steps = 4;
  job.grpo.off_policy_correction = kind.is_corrected ? "decoupled" : "none";
  job.schedule.lag = kind.lag;
  job.schedule.mode = kind.is_async ? "async" : kind.lag == 0 ? "sync" : "pipelined";
  job.schedule.staleness_max_steps = 5;
  job.resources.placement = job.schedule.mode == "sync" ? "colocated" : "split";
  job.optimizer.warmup_steps = 3;
  job.eval.every_steps = kind.is_corrected ? 3 : 2;  // Within a round of two steps, or at its end.
  job.eval.problems = kind.has_evaluations ? 3 : 0;
  job.rewards = {{.name = "accuracy", .verifier = "math", .weight = 1.0},
                 {.name = "format", .verifier = "r1_format", .weight = 0.1}};
  const auto prompts = [](int count, int first) {
    std::vector<actors::PromptTokens> made;
    for (int i = 0; i < count; ++i) {
      const char digit = static_cast<char>('0' + (first + i) % 10);
      made.push_back({.tokens = {digit, first + i, '?'}, .text = "?", .gold = {digit}});
    }
    return made;
  };
  prepared.data.train = prompts(7, 0);
  prepared.data.held_out = prompts(3, 5);
  for (int32_t part = 0; part < 2; ++part) {
    auto& file = prepared.data.cold_start.emplace_back();
    for (int32_t i = 0; i < 5; ++i) {
      file.push_back({.tokens = std::vector<int32_t>(static_cast<size_t>(3 + i), 10 * part + i),
                      .loss_mask = std::vector<uint8_t>(static_cast<size_t>(3 + i), 1)});
    }
  }
  prepared.context_max = 64;
  return prepared;
}

}  // namespace troupe::tests

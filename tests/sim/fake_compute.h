// What workers compute, without tensors: weights are a hash of everything that was learned, and a
// response is a function of the weights and of what was asked. Whoever learns something else, in
// another order, from another start, or generates with another version ends with another hash.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/job/prepared_job.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "schemas/work.h"
#include "tests/sim/simulated_clock.h"

namespace troupe::tests {

// ---- A learner: any number of ranks, each with its own run of the chunks.

constexpr uint32_t kNumChunks = 8;  // At least as many as ranks.
// What a rank has where a chunk is another's: whoever computes with it comes to other bits.
constexpr uint64_t kNotHere = 0xdead;

using Chunks = std::array<uint64_t, kNumChunks>;
// What one rank tells all others: something of its own sequences, or of its own chunks, by index.
using Pieces = std::map<uint32_t, uint64_t>;

struct ChunkRange {
  uint32_t begin = 0, end = 0;
};

inline ChunkRange chunks_of(uint32_t rank, uint32_t num_ranks) {
  return {kNumChunks * rank / num_ranks, kNumChunks * (rank + 1) / num_ranks};
}

// What a machine that computes wrongly does with a step's result.
enum class Differs { kNot, kLoss, kNorm, kGradient };

struct FakeLearner {
  uint32_t rank = 0, num_ranks = 1;
  PolicyVersion version{};
  Chunks masters{}, moments{};      // Of its own chunks.
  Chunks values{}, reference{};     // Of all.
  uint64_t weights = 0;             // Of the values: what is published.
  uint64_t gradient = 0;            // Of the step that is under way.
  uint64_t defect = 0;              // Of the machine that it is on: it computes other bits ...
  Differs differs = Differs::kNot;  // ... or says other bits than its team.
  // What a correction remembers: what the round's first weights made of sequences that this rank
  // will learn. No recovery point keeps it.
  std::map<TrajectoryId, uint64_t> scored{};

  ChunkRange own() const { return chunks_of(rank, num_ranks); }
  std::string weights_name() const { return std::to_string(weights); }

  Pieces own_masters() const {
    Pieces pieces;
    for (uint32_t i = own().begin; i < own().end; ++i) pieces[i] = masters[i];
    return pieces;
  }
  // From all ranks' masters.
  void publish(const Pieces& all) {
    require(all.size() == kNumChunks, "ranks publish without all of them");
    weights = 1;
    for (const auto& [index, master] : all) {
      values[index] = master;
      weights = mix(weights, master);
    }
  }
};

// Before anything is learned; its masters are to be published.
inline FakeLearner fresh_learner(uint32_t rank, uint32_t num_ranks) {
  FakeLearner learner{.rank = rank, .num_ranks = num_ranks};
  learner.masters.fill(kNotHere);
  learner.moments.fill(kNotHere);
  for (uint32_t i = learner.own().begin; i < learner.own().end; ++i) {
    learner.masters[i] = i;
    learner.moments[i] = 0;
  }
  return learner;
}

inline uint64_t digest_of(const TrajectoryId& id) {
  return mix(mix(number(id.group.round), id.group.ordinal), id.sample);
}

inline uint64_t digest_of(const SequenceToLearn& one) {
  uint64_t hash = mix(digest_of(one.id), one.is_rescored ? 1 : 0);
  for (int32_t token : one.tokens) hash = mix(hash, static_cast<uint64_t>(token));
  for (uint8_t is_learned : one.loss_mask) hash = mix(hash, is_learned);
  for (float logprob : one.rollout_logprobs) {
    hash = mix(hash, bits_of(static_cast<double>(logprob)));
  }
  return mix(mix(hash, bits_of(one.token_weight)), bits_of(one.advantage));
}

// What the weights make of a sequence that is learned later.
inline uint64_t score(const FakeLearner& learner, const SequenceToLearn& one) {
  uint64_t hash = mix(learner.weights, digest_of(one.id));
  for (int32_t token : one.tokens) hash = mix(hash, static_cast<uint64_t>(token));
  return hash;
}

// The first part of a step, by one rank: what its own sequences come to.
inline Result<Pieces> begin_step(FakeLearner& learner, const LearnShare& share,
                                 const JobSpec& job) {
  const auto wrong = [&share](const std::string& what) {
    return Error{ErrorCode::kInternal,
                 "step " + std::to_string(number(share.version)) + ": " + what};
  };
  if (number(share.version) != number(learner.version) + 1) {
    return wrong("asked for at " + std::to_string(number(learner.version)));
  }
  if (share.begins_stage) {
    for (uint32_t i = learner.own().begin; i < learner.own().end; ++i) learner.moments[i] = 0;
    learner.reference = learner.values;
  }
  const bool is_corrected = share.stage == Stage::kGrpo && job.grpo.off_policy_correction != "none";
  if (is_corrected && share.begins_round) {
    learner.scored.clear();
    for (const SequenceToLearn& one : share.later) learner.scored[one.id] = score(learner, one);
  } else if (!share.later.empty()) {
    return wrong("later sequences that nobody needs");
  }
  Pieces digests;
  for (const SequenceToLearn& own : share.own) {
    if (own.index >= share.sequences.size() ||
        share.sequences[own.index].num_tokens != own.tokens.size()) {
      return wrong("a sequence that is none of the minibatch");
    }
    uint64_t digest = mix(digest_of(own), learner.defect);
    if (is_corrected && !share.begins_round) {
      const auto old = learner.scored.extract(own.id);
      if (old.empty()) return wrong("a sequence that was not scored");
      digest = mix(digest, old.mapped());
    }
    digests[own.index] = digest;
  }
  return digests;
}

// The second: from what all ranks' sequences come to, the gradient and its own chunks.
inline void move_masters(FakeLearner& learner, const LearnShare& share, const Pieces& digests) {
  require(digests.size() == share.sequences.size(), "a step without all of its sequences");
  uint64_t hash = mix(mix(learner.weights, number(learner.version)), bits_of(share.learning_rate));
  hash = mix(mix(hash, static_cast<uint64_t>(share.stage)), bits_of(share.advantage_abs_mean));
  for (uint64_t chunk : learner.reference) hash = mix(hash, chunk);
  for (const auto& [index, digest] : digests) {
    const SequenceFacts& facts = share.sequences[index];
    hash = mix(mix(hash, facts.num_tokens), facts.num_learned);
    hash = mix(mix(hash, bits_of(facts.staleness_mean)), facts.staleness_max);
    hash = mix(hash, digest);
  }
  learner.gradient = hash;
  const bool is_finite = hash % 37 != 0;
  if (digests.empty() || !is_finite) return;
  for (uint32_t i = learner.own().begin; i < learner.own().end; ++i) {
    learner.moments[i] = mix(mix(learner.moments[i], hash), i);
    learner.masters[i] = mix(learner.masters[i], learner.moments[i]);
  }
}

// The last: with all ranks' masters.
inline StepLearned end_step(FakeLearner& learner, const LearnShare& share, const Pieces& masters) {
  learner.publish(masters);
  learner.version = share.version;
  if (share.refreshes_reference) learner.reference = learner.values;
  const auto if_differs = [&learner](Differs how) -> uint64_t {
    return learner.differs == how ? 1 : 0;
  };
  const bool is_empty = share.sequences.empty();
  const bool is_finite = is_empty || learner.gradient % 37 != 0;
  StepLearned learned{.core_seconds = 0.1};
  StepMetrics& metrics = learned.metrics;
  metrics.stage = share.stage;
  metrics.version = share.version;
  metrics.loss = static_cast<double>((learner.gradient >> 12) + if_differs(Differs::kLoss));
  metrics.grad_norm =
      static_cast<double>((mix(learner.gradient, 1) >> 12) + if_differs(Differs::kNorm));
  metrics.learning_rate = share.learning_rate;
  metrics.was_skipped = is_empty || !is_finite;
  metrics.was_finite = is_finite;
  for (const SequenceFacts& facts : share.sequences) metrics.tokens_learned += facts.num_tokens;
  learned.digest = std::to_string(mix(learner.weights, if_differs(Differs::kGradient)));
  return learned;
}

// What a rank writes to a recovery point.
struct FakePart {
  uint32_t rank = 0, num_ranks = 0;
  PolicyVersion version{};
  Chunks masters{}, moments{}, reference{};  // Of its own chunks.
};

inline FakePart part_of(const FakeLearner& learner) {
  FakePart part{.rank = learner.rank,
                .num_ranks = learner.num_ranks,
                .version = learner.version,
                .masters = learner.masters,
                .moments = learner.moments};
  part.reference.fill(kNotHere);
  for (uint32_t i = learner.own().begin; i < learner.own().end; ++i) {
    part.reference[i] = learner.reference[i];
  }
  return part;
}

// Takes what a rank needs of one part of a point, however many parts there are.
inline void take_part(FakeLearner& learner, const FakePart& part) {
  learner.version = part.version;
  const ChunkRange held = chunks_of(part.rank, part.num_ranks), own = learner.own();
  for (uint32_t i = held.begin; i < held.end; ++i) {
    learner.reference[i] = part.reference[i];
    if (i < own.begin || i >= own.end) continue;
    learner.masters[i] = part.masters[i];
    learner.moments[i] = part.moments[i];
  }
}

inline uint64_t digest_of(const FakePart& part) {
  uint64_t hash = mix(mix(part.rank, part.num_ranks), number(part.version));
  for (const Chunks& chunks : {part.masters, part.moments, part.reference}) {
    for (uint64_t chunk : chunks) hash = mix(hash, chunk);
  }
  return hash;
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
  // Few sequences each, so that several ranks have some of a minibatch.
  job.learner.microbatch_tokens = 40;
  prepared.context_max = 64;
  return prepared;
}

}  // namespace troupe::tests

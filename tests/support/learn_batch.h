// Minibatches for learners.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/random.h"
#include "model/training/learner.h"

namespace troupe::tests {

// Sequences with everything that a step may want to know of them.
struct LearnBatch {
  struct Row {
    std::vector<int32_t> tokens{};
    std::vector<uint8_t> loss_mask{};
    std::vector<float> rollout_logprobs{};
    std::vector<float> old_logprobs{};
    double advantage = 0;
    double token_weight = 0;
  };
  std::vector<Row> rows{};

  std::vector<model::LearnSequence> view() const {
    std::vector<model::LearnSequence> all;
    for (const auto& row : rows) {
      all.push_back({.tokens = row.tokens,
                     .loss_mask = row.loss_mask,
                     .rollout_logprobs = row.rollout_logprobs,
                     .old_logprobs = row.old_logprobs,
                     .advantage = row.advantage,
                     .token_weight = row.token_weight});
    }
    return all;
  }
};

// `count` sequences of 2 .. length_max tokens, the first third of each a prompt.
inline LearnBatch random_batch(uint64_t seed, size_t count, uint64_t length_max = 40) {
  kernels::RandomStream random(seed, kernels::StreamId::kMakeData);
  LearnBatch batch;
  for (size_t i = 0; i < count; ++i) {
    auto& row = batch.rows.emplace_back();
    const size_t T = 2 + random.below(length_max - 1);
    for (size_t t = 0; t < T; ++t) {
      row.tokens.push_back(static_cast<int32_t>(random.below(48)));
      row.loss_mask.push_back(t > 0 && t >= T / 3 ? 1 : 0);
      row.rollout_logprobs.push_back(static_cast<float>(-3.9 + random.uniform() - 0.5));
    }
    row.advantage = random.uniform() * 4 - 2;
    row.token_weight = 1.0 / static_cast<double>(count * (T - std::max<size_t>(1, T / 3)));
  }
  return batch;
}

inline model::StepOptions sft_options() {
  return {.learning_rate = 1e-3, .balance_bias_rate = 0.01};
}
inline model::StepOptions grpo_options() {
  model::StepOptions options = sft_options();
  options.grpo = model::GrpoObjective{.kl_coef = 0.05};
  options.temperature = 0.8f;
  options.weight_decay = 0.1;
  return options;
}

}  // namespace troupe::tests

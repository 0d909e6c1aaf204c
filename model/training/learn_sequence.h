// A sequence to learn from.
#pragma once

#include <cstdint>
#include <span>

namespace troupe::model {

// T tokens; entry t of the lists speaks of token t. A sequence that another rank of the team learns
// has no lists, and only its length.
struct LearnSequence {
  std::span<const int32_t> tokens{};          // (T)
  std::span<const uint8_t> loss_mask{};       // (T)  1 = learned; the first token never is.
  std::span<const float> rollout_logprobs{};  // (T)  GRPO only
  // (T)  GRPO with a correction only: by the policy that the round's learning began with. Empty:
  // that policy is the current one.
  std::span<const float> old_logprobs{};
  double advantage = 0;          // GRPO only
  double token_weight = 0;       // Of each learned token in the loss.
  int64_t length_elsewhere = 0;  // T, where another rank learns it.

  int64_t length() const {
    return tokens.empty() ? length_elsewhere : static_cast<int64_t>(tokens.size());
  }
};

}  // namespace troupe::model

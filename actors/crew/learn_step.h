// One optimizer step as the controller asks for it, before it is dealt out to the learner's ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "schemas/ids.h"
#include "schemas/metrics.h"

namespace troupe::actors {

struct Demonstration {
  std::vector<int32_t> tokens{};
  std::vector<uint8_t> loss_mask{};  // One per token: 1 = learned.
};

using EncodedGroups = std::vector<std::vector<std::byte>>;  // GroupRecords.

// On demonstrations (SFT) or on groups (GRPO), in this order.
struct LearnStep {
  PolicyVersion version{};  // After the step; the learner must be at the one before.
  Stage stage = Stage::kSft;
  double learning_rate = 0;
  double balance_bias_rate = 0;
  bool begins_stage = false;         // Before: moments start again, the reference is the current.
  bool refreshes_reference = false;  // After: the reference becomes the new version.
  bool rescores = false;  // Before: compare a sample of log-probabilities bit by bit, or fail.
  std::vector<Demonstration> demonstrations{};
  EncodedGroups groups{};
  // The round's later minibatches, with the first one and an off-policy correction only: their
  // log-probabilities are wanted before the weights move.
  std::vector<EncodedGroups> later_minibatches{};
};

}  // namespace troupe::actors

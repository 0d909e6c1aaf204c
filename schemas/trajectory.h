// One prompt and one response, as every layer sees it. The wire form is trajectory.capnp; the two
// meet in trajectory_codec.h. Segments, the loss mask and a policy version per token range are
// there from the start, so that tools, several turns and weight updates in flight need no new form.
#pragma once

#include <cstdint>
#include <vector>

#include "schemas/ids.h"
#include "schemas/verdict.h"

namespace troupe {

enum class SegmentRole : uint8_t { kPrompt = 0, kPolicy = 1, kEnvironment = 2 };

// Tokens [begin, end) of the trajectory were written by `role`.
struct Segment {
  SegmentRole role = SegmentRole::kPrompt;
  uint32_t begin = 0;
  uint32_t end = 0;
  bool operator==(const Segment&) const = default;
};

// Tokens [begin, end) of the trajectory were sampled by `version`.
struct VersionRange {
  PolicyVersion version{};
  uint32_t begin = 0;
  uint32_t end = 0;
  bool operator==(const VersionRange&) const = default;
};

// Values cross the wire: append, never renumber.
enum class FinishReason : uint8_t {
  kStop = 0,     // Sampled a stop token, which is part of `tokens` but is not text.
  kLength = 1,   // Hit the token budget; judged as it is.
  kAborted = 2,  // Cut off by a shutdown; never learned.
};

// T = tokens of the trajectory, prompt included.
struct Trajectory {
  TrajectoryId id{};
  uint64_t prompt_index = 0;         // Row of the training file.
  std::vector<int32_t> tokens{};     // (T)
  std::vector<uint8_t> loss_mask{};  // (T)  1 = sampled by the policy, learned; 0 = given
  // (T)  ln p(token | everything before) under the sampling policy at the rollout's temperature,
  // before top-p; 0 where loss_mask is 0.
  std::vector<float> rollout_logprobs{};
  std::vector<Segment> segments{};       // Cover [0, T) in order, without gaps.
  std::vector<VersionRange> versions{};  // Cover the tokens with loss_mask 1, in order.
  FinishReason finish_reason = FinishReason::kStop;
  Verdict verdict{};

  uint32_t num_response_tokens() const {
    uint32_t count = 0;
    for (uint8_t m : loss_mask) count += m;
    return count;
  }
};

}  // namespace troupe

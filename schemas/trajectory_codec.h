// Trajectory <-> bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "schemas/result.h"
#include "schemas/trajectory.h"

namespace troupe {

// Nothing longer is accepted from a peer or from a store.
inline constexpr uint32_t kTrajectoryTokensMax = 1u << 20;
inline constexpr uint32_t kVerdictPartsMax = 64;
inline constexpr uint32_t kVerdictTextBytesMax = 64 * 1024;  // Of a part's name or reason.

// kCorruption, naming the field, unless the per-token lists agree in length, the segments cover all
// tokens without gaps, the version ranges cover exactly the tokens with loss_mask 1, these lie in
// policy segments, log-probabilities are finite (0 where loss_mask is 0) and every enumerator is
// known.
Status validate(const Trajectory& trajectory);

// kCorruption unless every kind is known, every value is in [0, 1] and every weight is finite.
Status validate(const Verdict& verdict);

// `trajectory` must be valid.
std::vector<std::byte> encode(const Trajectory& trajectory);

// kCorruption unless `bytes` is one whole message with a valid trajectory in it. The bytes may come
// from any peer, so no input may crash, over-read or make this allocate much more than its size.
Result<Trajectory> decode_trajectory(std::span<const std::byte> bytes);

}  // namespace troupe

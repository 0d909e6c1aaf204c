// What one rank says to another of an operation that it has begun, and whether the two agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "kernels/collective/communicator.h"

namespace troupe::kernels::collective {

inline constexpr uint64_t kAnyBytes = ~uint64_t{0};           // As many as the sender says.
inline constexpr uint64_t kPartBytesMax = uint64_t{1} << 46;  // More is nobody's memory.

struct Call {
  Collective kind = Collective::kNone;
  uint64_t group = 0;     // group_of() its ranks.
  uint64_t number = 0;    // Of this group's operations on the channel, from 0.
  uint64_t argument = 0;  // The root as a rank of the team, or the bound of an exchange.
  uint64_t sends = 0;     // Bytes to the rank that it is said to.
  uint64_t expects = 0;   // Bytes from that rank; kAnyBytes in an exchange.

  bool operator==(const Call&) const = default;
};

// Names a list of ranks, so that two lists which differ do so in one number.
uint64_t group_of(std::span<const int> ranks);

// "all_gather number 3, sends 5 bytes and expects 7"
std::string describe(const Call& call);

struct Said {
  int rank = 0;  // Of the team.
  const Call& call;
};

// Nothing when what two ranks say to each other goes together; else what each of them said.
std::optional<std::string> disagreement(const Said& mine, const Said& theirs);

}  // namespace troupe::kernels::collective

// What every message between processes is wrapped in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

// Raised when an older program could misread what a newer one sends.
inline constexpr uint32_t kProtocolVersion = 2;

// Nothing longer is accepted from a peer. Cap'n Proto's Data, and so a payload, cannot be longer
// either.
inline constexpr size_t kEnvelopeBytesMax = size_t{1} << 29;

struct Envelope {
  uint32_t protocol = kProtocolVersion;
  uint64_t job = 0;
  uint64_t epoch = 0;       // Of the lease that the message belongs to; 0: before any.
  uint64_t request_id = 0;  // 0: nothing is asked or answered.
  int64_t deadline_ms = 0;  // The sender's patience, from sending on; 0: none.
  uint64_t schema = 0;      // Cap'n Proto's type id of the payload.
  std::vector<std::byte> payload{};
};

}  // namespace troupe

// What travels between two ranks over a network: a header of fixed size, and bytes behind it in two
// of its types. Whatever does not read as one of these is refused before anybody looks at it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/collective/call.h"
#include "schemas/result.h"

namespace troupe::kernels::collective {

enum class FrameType : uint8_t {
  kHello = 1,        // First, once: rank, count of ranks, channels, epoch (in call.number).
  kBegin = 2,        // An operation has begun: channel, call.
  kChunk = 3,        // Bytes of an operation that both have begun: channel, call.number, offset.
  kAcknowledge = 4,  // So many chunks were taken: channel, count.
  kGiveUp = 5,       // The team has ended: a code in count, and why.
  kLeave = 6,        // Nothing more will come from here, and nothing is missing.
  kBeat = 7,         // The sender lives.
};

// Large enough that threads hand over seldom, and few enough under way to stay in a cache.
inline constexpr size_t kFrameBytes = 64;  // Of a header.
inline constexpr size_t kChunkBytesMax = 256 << 10;
inline constexpr size_t kReasonBytesMax = 1'024;
inline constexpr size_t kMessageBytesMax = kFrameBytes + kChunkBytesMax;
inline constexpr uint32_t kChunksInFlightMax = 8;  // To one rank, on one channel.

struct Frame {
  FrameType type = FrameType::kHello;
  uint16_t channel = 0;
  uint32_t rank = 0;
  uint32_t count = 0;
  uint64_t offset = 0;
  Call call{};

  bool operator==(const Frame&) const = default;
};

void encode(const Frame& frame, std::span<std::byte, kFrameBytes> out);

struct Received {
  Frame frame{};
  std::span<const std::byte> payload{};  // Of `message`.
};

// kCorruption for what no rank of this program sends: another size, another type, a value in a
// field that the type has no use for.
Result<Received> decode(std::span<const std::byte> message);

}  // namespace troupe::kernels::collective

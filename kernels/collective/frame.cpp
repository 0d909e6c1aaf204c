#include "kernels/collective/frame.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace troupe::kernels::collective {
namespace {

constexpr uint32_t kMagic = 0x31636354;  // "Tcc1"; another number for another layout.

// As it lies in a message.
struct Wire {
  uint32_t magic;
  uint8_t type;
  uint8_t kind;
  uint16_t channel;
  uint32_t rank;
  uint32_t count;
  uint64_t group;
  uint64_t number;
  uint64_t argument;
  uint64_t sends;
  uint64_t expects;
  uint64_t offset;
};
static_assert(sizeof(Wire) == kFrameBytes);
static_assert(std::endian::native == std::endian::little, "the wire is little-endian");

Error refused(const char* what) {
  return {ErrorCode::kCorruption, fmt::format("not a frame of a team: {}", what)};
}

bool is_size(uint64_t bytes, bool may_be_any) {
  return bytes <= kPartBytesMax || (may_be_any && bytes == kAnyBytes);
}

// Only what the type needs may be there, so that the rest can be given a meaning later.
bool has_only_its_fields(const Frame& frame) {
  Frame rest = frame;
  rest.type = FrameType::kHello;
  switch (frame.type) {
    case FrameType::kHello:
      rest.rank = rest.count = 0;
      rest.channel = 0;
      rest.call.number = 0;
      break;
    case FrameType::kBegin:
      rest.channel = 0;
      rest.call = {};
      break;
    case FrameType::kChunk:
      rest.channel = 0;
      rest.call.number = 0;
      rest.offset = 0;
      break;
    case FrameType::kAcknowledge:
      rest.channel = 0;
      rest.count = 0;
      break;
    case FrameType::kGiveUp:
      rest.count = 0;
      break;
    case FrameType::kLeave:
    case FrameType::kBeat:
      break;
  }
  return rest == Frame{};
}

bool fits(FrameType type, size_t payload_bytes) {
  switch (type) {
    case FrameType::kChunk:
      return payload_bytes >= 1 && payload_bytes <= kChunkBytesMax;
    case FrameType::kGiveUp:
      return payload_bytes <= kReasonBytesMax;
    default:
      return payload_bytes == 0;
  }
}

}  // namespace

void encode(const Frame& frame, std::span<std::byte, kFrameBytes> out) {
  const Wire wire{.magic = kMagic,
                  .type = static_cast<uint8_t>(frame.type),
                  .kind = static_cast<uint8_t>(frame.call.kind),
                  .channel = frame.channel,
                  .rank = frame.rank,
                  .count = frame.count,
                  .group = frame.call.group,
                  .number = frame.call.number,
                  .argument = frame.call.argument,
                  .sends = frame.call.sends,
                  .expects = frame.call.expects,
                  .offset = frame.offset};
  std::memcpy(out.data(), &wire, sizeof(wire));
}

Result<Received> decode(std::span<const std::byte> message) {
  if (message.size() < kFrameBytes) return refused("too short");
  Wire wire;
  std::memcpy(&wire, message.data(), sizeof(wire));
  if (wire.magic != kMagic) return refused("another protocol");
  if (wire.type < static_cast<uint8_t>(FrameType::kHello) ||
      wire.type > static_cast<uint8_t>(FrameType::kBeat)) {
    return refused("unknown type");
  }
  if (wire.kind > static_cast<uint8_t>(Collective::kBarrier)) return refused("unknown operation");
  const Received received{.frame = {.type = FrameType{wire.type},
                                    .channel = wire.channel,
                                    .rank = wire.rank,
                                    .count = wire.count,
                                    .offset = wire.offset,
                                    .call = {.kind = Collective{wire.kind},
                                             .group = wire.group,
                                             .number = wire.number,
                                             .argument = wire.argument,
                                             .sends = wire.sends,
                                             .expects = wire.expects}},
                          .payload = message.subspan(kFrameBytes)};
  const Frame& frame = received.frame;
  if (!has_only_its_fields(frame)) return refused("a field that its type has no use for");
  if (!fits(frame.type, received.payload.size())) return refused("a payload of another size");
  if (frame.type == FrameType::kBegin &&
      (frame.call.kind == Collective::kNone || !is_size(frame.call.sends, /*may_be_any=*/false) ||
       !is_size(frame.call.expects, /*may_be_any=*/true))) {
    return refused("an operation of no size");
  }
  return received;
}

}  // namespace troupe::kernels::collective

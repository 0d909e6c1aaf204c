#include <algorithm>
#include <array>

#include "kernels/collective/conversation.h"
#include "kernels/collective/frame.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::collective_frame {

using namespace kernels::collective;

namespace {

class Nowhere final : public FrameSink {
 public:
  void send(int, const Frame&, std::span<const std::byte>) override {}
};

// A rank in the middle of an exchange of 40 bytes each way hears this, again and again.
void converse(const Received& received) {
  constexpr std::array<int, 2> kRanks = {0, 1};
  std::array<std::byte, 40> sent{}, place{};
  const auto part = [](const auto& bytes) {
    return kernels::Part{reinterpret_cast<uint64_t>(bytes.data()),
                         static_cast<int64_t>(bytes.size())};
  };
  const std::array<kernels::Part, 2> from = {kernels::Part{}, part(sent)};
  const std::array<kernels::Part, 2> to = {kernels::Part{}, part(place)};
  const Transfer transfer{.kind = kernels::Collective::kAllToAll,
                          .group = received.frame.call.group,
                          .ranks = kRanks,
                          .me = 0,
                          .from = from,
                          .to = to};
  Nowhere nowhere;
  Conversation conversation(0, 0, 2, nowhere);
  Received begin{.frame = {.type = FrameType::kBegin, .rank = 1, .call = transfer.call(1)}};
  TROUPE_CHECK(conversation.begin(transfer));
  if (received.frame.offset % 2 == 0 && !conversation.receive(1, begin)) return;
  for (int i = 0; i < 3 && !conversation.is_done(); ++i) {
    if (!conversation.receive(1, received)) return;
  }
}

}  // namespace

void fuzz_one(const uint8_t* data, size_t size) {
  const auto message = std::as_bytes(std::span(data, size));
  const auto received = decode(message);
  if (!received) {
    TROUPE_CHECK(received.error().code == ErrorCode::kCorruption);
    TROUPE_CHECK(received.error().message.find('\n') == std::string::npos);
    return;
  }
  // What is taken is bounded, lies in the message, and is what a rank would have sent.
  const auto& [frame, payload] = *received;
  TROUPE_CHECK(message.size() <= kMessageBytesMax);
  TROUPE_CHECK(payload.size() + kFrameBytes == message.size());
  TROUPE_CHECK(payload.empty() || (payload.data() >= message.data() &&
                                   payload.data() + payload.size() == message.data() + size));
  std::array<std::byte, kFrameBytes> again{};
  encode(frame, again);
  TROUPE_CHECK(std::equal(again.begin(), again.end(), message.begin()));
  const bool is_said_in_conversation = frame.type == FrameType::kBegin ||
                                       frame.type == FrameType::kChunk ||
                                       frame.type == FrameType::kAcknowledge;
  if (is_said_in_conversation) converse(*received);
}

}  // namespace troupe::fuzz::collective_frame

TROUPE_FUZZ_TARGET(collective_frame)

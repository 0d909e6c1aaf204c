// Seeded damage to what ranks send each other.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/collective/frame.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

using namespace kernels::collective;

TEST_CASE("collective fuzz: damaged frames are refused, or are what a rank would have sent") {
  std::mt19937_64 random(5);
  const auto below = [&random](size_t bound) { return static_cast<size_t>(random() % bound); };
  size_t refused = 0;
  constexpr size_t kRounds = 200'000;
  for (size_t i = 0; i < kRounds; ++i) {
    Frame frame{.type = static_cast<FrameType>(1 + below(7)),
                .channel = static_cast<uint16_t>(below(4)),
                .rank = static_cast<uint32_t>(below(4)),
                .count = static_cast<uint32_t>(below(9))};
    frame.call.number = below(100);
    std::array<std::byte, kFrameBytes> header{};
    encode(frame, header);
    std::vector<uint8_t> message(kFrameBytes + below(64));
    std::memcpy(message.data(), header.data(), header.size());
    for (size_t changes = below(4); changes > 0; --changes) {
      message[below(kFrameBytes)] =
          below(2) == 0 ? static_cast<uint8_t>(below(256)) : static_cast<uint8_t>(0xff);
    }
    if (below(10) == 0) message.resize(below(message.size() + 1));
    refused += decode(std::as_bytes(std::span(message))) ? 0 : 1;
    collective_frame::fuzz_one(message.data(), message.size());
  }
  CHECK(refused > kRounds / 10);
  CHECK(refused < kRounds);
}

}  // namespace
}  // namespace troupe::fuzz

// Counter-based random numbers: a draw is a pure function of (seed, stream, a, b, index), so a
// result does not depend on which worker drew it, on the order of draws, or on what was drawn
// before. Integer arithmetic only, hence the same bits on every machine and device.
#pragma once

#include <array>
#include <cstdint>

#include "schemas/check.h"

namespace troupe::kernels {

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011).
struct Philox {
  static constexpr std::array<uint32_t, 4> block(std::array<uint32_t, 2> key,
                                                 std::array<uint32_t, 4> counter) {
    constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
    constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
    for (int round = 0; round < 10; ++round) {
      const uint64_t product0 = kMultiplier0 * counter[0];
      const uint64_t product1 = kMultiplier1 * counter[2];
      counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
                 static_cast<uint32_t>(product1),
                 static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
                 static_cast<uint32_t>(product0)};
      key[0] += kWeyl0;
      key[1] += kWeyl1;
    }
    return counter;
  }
};

// Who draws. Two purposes never share a stream, so adding draws to one cannot move another.
// Values are part of every job's history: append, never renumber.
enum class StreamId : uint32_t {
  kInit = 1,         // Fresh weights.
  kShuffle = 2,      // Order of prompts and demonstrations.
  kSample = 3,       // Tokens of rollouts.
  kEval = 4,         // Tokens of evaluations.
  kMakeData = 5,     // Generated problems.
  kReplacement = 6,  // Prompts that replace dropped groups.
  kPlan = 7,         // Lengths and uncertain numbers of plans.
};

// The numbers of one (seed, stream, a, b). Streams that differ in any of the four never share a
// Philox counter under the same key.
class RandomStream {
 public:
  static constexpr uint32_t kBMax = (1u << 24) - 1;

  constexpr RandomStream(uint64_t seed, StreamId stream, uint64_t a = 0, uint32_t b = 0)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        tag_(static_cast<uint32_t>(stream) << 24 | b),
        a_(a) {
    TROUPE_CHECK(b <= kBMax);
  }

  // Four words at a place of the stream; does not move the sequence below.
  constexpr std::array<uint32_t, 4> block_at(uint32_t index) const {
    return Philox::block(key_,
                         {index, tag_, static_cast<uint32_t>(a_), static_cast<uint32_t>(a_ >> 32)});
  }

  // In [0, 1) with 53 bits, for consumers with an index of their own, e.g. a token position.
  constexpr double uniform_at(uint32_t index) const {
    const auto words = block_at(index);
    return to_unit(uint64_t{words[0]} << 32 | words[1]);
  }

  // The same blocks read one word after another. 2^34 words exist.
  constexpr uint32_t next_u32() {
    if (used_ == 4) {
      TROUPE_CHECK(next_index_ <= UINT32_MAX);
      block_ = block_at(static_cast<uint32_t>(next_index_++));
      used_ = 0;
    }
    return block_[used_++];
  }
  constexpr uint64_t next_u64() {
    const uint64_t high = next_u32();
    return high << 32 | next_u32();
  }

  constexpr double uniform() { return to_unit(next_u64()); }

  // Uniform over 0 .. n-1, exactly: draws from the incomplete last multiple of n are rejected.
  constexpr uint64_t below(uint64_t n) {
    TROUPE_CHECK(n > 0);
    const uint64_t rejected = (UINT64_MAX % n + 1) % n;  // 2^64 mod n.
    uint64_t draw = next_u64();
    while (draw > UINT64_MAX - rejected) draw = next_u64();
    return draw % n;
  }

 private:
  static constexpr double to_unit(uint64_t bits) {
    return static_cast<double>(bits >> 11) * 0x1.0p-53;
  }

  std::array<uint32_t, 2> key_;
  uint32_t tag_;
  uint64_t a_;
  std::array<uint32_t, 4> block_{};
  uint64_t next_index_ = 0;
  uint32_t used_ = 4;
};

}  // namespace troupe::kernels

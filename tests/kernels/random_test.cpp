#include "kernels/random.h"

#include <doctest/doctest.h>

#include <set>
#include <tuple>
#include <vector>

namespace troupe::kernels {
namespace {

using Block = std::array<uint32_t, 4>;

TEST_CASE("random: Philox4x32-10 gives the published known answers") {
  CHECK(Philox::block({0, 0}, {0, 0, 0, 0}) ==
        Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox::block({0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox::block({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random: the words of a stream are its blocks in order") {
  RandomStream stream(0x0123456789abcdef, StreamId::kSample, 0xfedcba9876543210, 7);
  for (uint32_t index = 0; index < 3; ++index) {
    const Block expected =
        Philox::block({0x89abcdef, 0x01234567}, {index, 3u << 24 | 7, 0x76543210, 0xfedcba98});
    CHECK(stream.block_at(index) == expected);
    for (uint32_t word : expected) CHECK(stream.next_u32() == word);
  }
}

TEST_CASE("random: each part of the identity gives other numbers") {
  std::set<Block> blocks;
  for (uint64_t seed : {0ull, 1ull, 1ull << 32}) {
    for (StreamId stream : {StreamId::kInit, StreamId::kShuffle, StreamId::kReplacement}) {
      for (uint64_t a : {0ull, 1ull, 1ull << 32}) {
        for (uint32_t b : {0u, 1u, RandomStream::kBMax}) {
          for (uint32_t index : {0u, 1u, UINT32_MAX}) {
            blocks.insert(RandomStream(seed, stream, a, b).block_at(index));
          }
        }
      }
    }
  }
  CHECK(blocks.size() == 3 * 3 * 3 * 3 * 3);
}

TEST_CASE("random: uniform is in [0, 1) and centred") {
  RandomStream stream(1, StreamId::kSample);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double u = stream.uniform();
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    sum += u;
  }
  CHECK(sum / 10000 == doctest::Approx(0.5).epsilon(0.02));
  CHECK(RandomStream(1, StreamId::kSample).uniform_at(0) ==
        RandomStream(1, StreamId::kSample).uniform());
}

TEST_CASE("random: below covers its range evenly, also where 2^64 is no multiple of n") {
  RandomStream stream(2, StreamId::kShuffle);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[stream.below(7)];
  for (int count : counts) CHECK(count == doctest::Approx(10000).epsilon(0.05));
  CHECK(stream.below(1) == 0);
  const uint64_t large = (1ull << 63) + 1;  // Almost half of all draws are rejected.
  for (int i = 0; i < 1000; ++i) CHECK(stream.below(large) < large);
}

}  // namespace
}  // namespace troupe::kernels

// What a decoder meets from a peer that is broken or hostile: messages that were cut, flipped,
// spliced or given other pointers.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe {

using Bytes = std::vector<std::byte>;

// decode(encode(value)) is `value`, encodes to the same bytes again, and is not misled by the
// alignment of what it reads.
template <class T, class Encode, class Decode>
void check_round_trip(const T& value, Encode encode, Decode decode) {
  Bytes bytes = encode(value);
  const auto received = decode(std::span<const std::byte>(bytes));
  REQUIRE(received);
  CHECK(same(*received, value));
  CHECK(encode(*received) == bytes);
  bytes.insert(bytes.begin(), std::byte{7});
  CHECK(decode(std::span<const std::byte>(bytes).subspan(1)));
}

// A message that ends early or late is refused. Long ones are cut at about a thousand lengths.
template <class Decode>
void check_cuts_are_refused(const Bytes& bytes, Decode decode) {
  const size_t step = bytes.size() / 1000 + 1;
  for (size_t size = 0; size < bytes.size(); size += step) {
    const auto result = decode(std::span<const std::byte>(bytes).first(size));
    REQUIRE_FALSE(result);
    REQUIRE(result.error().code == ErrorCode::kCorruption);
  }
  Bytes longer = bytes;
  longer.resize(bytes.size() + 8);
  CHECK_FALSE(decode(std::span<const std::byte>(longer)));
}

inline void flip_bits(Bytes& bytes, std::mt19937& random) {
  const int flips = 1 + static_cast<int>(random() % 3);
  for (int i = 0; i < flips && !bytes.empty(); ++i) {
    bytes[random() % bytes.size()] ^= std::byte{static_cast<unsigned char>(1u << random() % 8)};
  }
}

// Whatever flipped bits decode to is a value that can be encoded, and comes back from that.
template <class Encode, class Decode>
void check_flips_are_survived(const Bytes& original, int rounds, Encode encode, Decode decode) {
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < rounds; ++i) {
    Bytes bytes = original;
    flip_bits(bytes, random);
    const auto result = decode(std::span<const std::byte>(bytes));
    if (result) {
      const Bytes again = encode(*result);
      const auto received = decode(std::span<const std::byte>(again));
      REQUIRE(received);
      REQUIRE(encode(*received) == again);
    } else {
      REQUIRE(result.error().code == ErrorCode::kCorruption);
      REQUIRE(result.error().message.find('\n') == std::string::npos);
      ++refused;
    }
  }
  CHECK(refused > rounds / 100);
}

// A word that points somewhere, with sizes from nothing to more than there can be.
inline void randomise_pointer(Bytes& bytes, std::mt19937& random) {
  if (bytes.size() < 8) return;
  const auto any_of_size = [&random] { return random() >> random() % 32; };
  const uint64_t low = (any_of_size() << 2) | random() % 4;
  const uint64_t high = (random() % 2 == 0 ? any_of_size() << 3 : any_of_size()) | random() % 8;
  const uint64_t word = (low & 0xffffffff) | high << 32;
  std::memcpy(bytes.data() + random() % (bytes.size() / 8) * 8, &word, 8);
}

// Some words of another message, or of this one, in place of its own.
inline void splice(Bytes& bytes, const Bytes& other, std::mt19937& random) {
  if (bytes.size() < 8 || other.size() < 8) return;
  const size_t from = random() % (other.size() / 8) * 8;
  const size_t to = random() % (bytes.size() / 8) * 8;
  const size_t size = std::min({other.size() - from, bytes.size() - to, (1 + random() % 8) * 8});
  std::memmove(bytes.data() + to, other.data() + from, size);
}

// One or several of the above.
inline void mutate(Bytes& bytes, const Bytes& other, std::mt19937& random) {
  do {
    switch (random() % 5) {
      case 0:
        flip_bits(bytes, random);
        break;
      case 1:
        randomise_pointer(bytes, random);
        break;
      case 2:
        splice(bytes, other, random);
        break;
      case 3:
        splice(bytes, bytes, random);
        break;
      case 4:
        if (random() % 8 == 0) bytes.resize(random() % (bytes.size() + 1));
        break;
    }
  } while (random() % 2 == 0);
}

}  // namespace troupe

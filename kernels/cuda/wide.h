// Integers of 64 bits in kernels: products of two of them, sums over a warp, and the random numbers
// of kernels/random.h, whose header is not one for device compilers.
#pragma once

#include "kernels/cuda/device.h"

namespace troupe::kernels::cuda {

// All 128 bits of a product.
struct Wide {
  uint64_t high, low;
};
TROUPE_DEVICE Wide product_of(uint64_t a, uint64_t b) {
  const uint64_t a0 = a & 0xFFFFFFFF, a1 = a >> 32, b0 = b & 0xFFFFFFFF, b1 = b >> 32;
  const uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32);
  const uint64_t other = a0 * b1 + (middle & 0xFFFFFFFF);
  return {a1 * b1 + (middle >> 32) + (other >> 32), other << 32 | (low & 0xFFFFFFFF)};
}

TROUPE_DEVICE uint64_t shuffle_xor_wide(uint64_t x, int lanes, Place place = here()) {
  const uint32_t low = shuffle_xor(kAllLanes, static_cast<uint32_t>(x), lanes, place);
  const uint32_t high = shuffle_xor(kAllLanes, static_cast<uint32_t>(x >> 32), lanes, place);
  return static_cast<uint64_t>(high) << 32 | low;
}
TROUPE_DEVICE uint64_t warp_sum_wide(uint64_t x, Place place = here()) {
  TROUPE_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) x += shuffle_xor_wide(x, lanes, place);
  return x;
}

// The first 64 bits of RandomStream::block_at(index) of (seed, stream, a, b).
struct RandomPlace {
  uint64_t seed, a;
  uint32_t stream, b, index;
};
TROUPE_DEVICE uint64_t random_bits(const RandomPlace& place) {
  uint32_t key0 = static_cast<uint32_t>(place.seed);
  uint32_t key1 = static_cast<uint32_t>(place.seed >> 32);
  uint32_t c0 = place.index, c1 = place.stream << 24 | place.b;
  uint32_t c2 = static_cast<uint32_t>(place.a), c3 = static_cast<uint32_t>(place.a >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    const uint64_t product1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<uint32_t>(product1);
    c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<uint32_t>(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return static_cast<uint64_t>(c0) << 32 | c1;
}

}  // namespace troupe::kernels::cuda

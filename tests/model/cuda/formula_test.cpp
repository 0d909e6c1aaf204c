// The tensor cores' formula of kernels/cuda/README.md over many tiles: on a GPU, where there is
// one, a million of them against plain C++; else some of them on the emulation.
#include <vector>

#include "kernels/random.h"
#include "tests/support/cuda_emulated/gpu.h"
#include "tests/support/cuda_reference/operations.h"
#include "tests/support/on_device.h"

namespace troupe::tests {
namespace {

// Numbers of any sign and of exponents that are equal, near or far apart, with zeros, subnormals
// and the largest; by row, so that a tile has some of each.
std::vector<uint16_t> edges(int64_t rows, int64_t cols, uint64_t seed) {
  kernels::RandomStream random(seed, kernels::StreamId::kMakeData);
  std::vector<uint16_t> values;
  for (int64_t r = 0; r < rows; ++r) {
    const uint64_t kind = random.below(4);
    for (int64_t c = 0; c < cols; ++c) {
      const uint64_t exponent = kind == 0   ? 127
                                : kind == 1 ? 121 + random.below(12)
                                : kind == 2 ? 60 + random.below(130)
                                            : random.below(255);
      uint64_t value = random.below(2) << 15 | exponent << 7 | random.below(128);
      if (random.below(16) == 0) value &= 0x8000;
      values.push_back(static_cast<uint16_t>(value));
    }
  }
  return values;
}

// Tiles of 16 x 8 over two steps of sixteen: the second goes on from what the first has left.
void check(const kernels::Backend& backend, int64_t tiles_down, int64_t tiles_across,
           uint64_t seed) {
  const int64_t M = 16 * tiles_down, N = 8 * tiles_across, K = 32;
  const std::vector<uint16_t> x = edges(M, K, seed), w = edges(N, K, seed + 1);
  OnDevice d(backend);
  std::vector<float> weights;
  for (const uint16_t value : w) weights.push_back(from_bf16(value));
  const auto y = d.filled<float>(M * N, 0);
  d->gemm(d.stream(), {.y = y,
                       .x = {d.send(x).address, 2},
                       .w = d.pack(weights, N, K),
                       .M = M,
                       .ldy = N,
                       .ldx = K});
  require_same(d.receive(y, M * N), cuda_reference::product(core_of(backend), x, w, M, N, K));
}

TEST_CASE("cuda formula: tiles of random and of edge numbers, bit for bit") {
  const kernels::Backend* const device = gpu();
  if (device == nullptr) {
    using cuda_reference::TensorCore;
    for (const TensorCore core : {TensorCore::kSm90, TensorCore::kSm80}) {
      check(cuda_emulated(core), 40, 25, 1);
    }
    return;
  }
  for (uint64_t part = 0; part < 16; ++part) check(*device, 250, 250, 2 * part);
  MESSAGE("1,000,000 tiles on a GPU");
}

}  // namespace
}  // namespace troupe::tests

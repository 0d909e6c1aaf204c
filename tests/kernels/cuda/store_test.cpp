// Rounding to bf16 on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

// With halves of the last place, subnormals, infinities and NaNs among them.
std::vector<float> numbers_to_round(int64_t size) {
  Random random(static_cast<uint64_t>(size + 1));
  std::vector<float> values(static_cast<size_t>(size));
  for (float& v : values) {
    uint32_t bits = static_cast<uint32_t>(random.next());
    if (random.in(0, 3) == 0) bits = (bits & 0xFFFF0000) | 0x8000;
    if (random.in(0, 9) == 0) bits |= 0x7F800000;
    if (random.in(0, 9) == 0) bits &= 0x807FFFFF;
    std::memcpy(&v, &bits, 4);
  }
  return values;
}

std::vector<uint16_t> rounded(const std::vector<float>& values) {
  std::vector<uint16_t> all;
  for (const float v : values) all.push_back(cuda_reference::to_bf16(v));
  return all;
}

TEST_CASE("cuda store: the reference's bits from every engine, whatever lies between rows") {
  struct Case {
    int64_t N, n, gap;
  };
  for (const auto& [N, n, gap] : {Case{0, 4, 0}, Case{4, 0, 0}, Case{1, 1, 0}, Case{3, 37, 3},
                                  Case{2, 1023, 1}, Case{2, 1024, 0}, Case{1, 1025, 0}}) {
    CAPTURE(N);
    CAPTURE(n);
    const std::vector<float> from = numbers_to_round(N * n);
    const std::vector<uint16_t> expected = rounded(from);
    on_every_engine(4, [&, N = N, n = n, gap = gap] {
      const Rows<float> device_from(from, N, n, n + gap);
      const Rows<uint16_t> to(std::vector<uint16_t>(from.size()), N, n, n + 2 * gap);
      kernels::cuda::store(nullptr, {.to = to.stored(),
                                     .from = device_from.device(),
                                     .N = N,
                                     .n = n,
                                     .ldto = n + 2 * gap,
                                     .ldfrom = n + gap});
      REQUIRE(to.values() == expected);
    });
  }
}

TEST_CASE("cuda round_bf16: the numbers that bf16 can hold, in place") {
  for (const int64_t n : {0, 1, 255, 1023, 1024, 1025, 3000}) {
    CAPTURE(n);
    const std::vector<float> x = numbers_to_round(n);
    std::vector<float> expected;
    for (const uint16_t v : rounded(x)) expected.push_back(cuda_reference::from_bf16(v));
    on_every_engine(4, [&] {
      const simt::Array<float> device_x(x);
      kernels::cuda::round_bf16(nullptr, {.x = device_x.device(), .n = n});
      REQUIRE(has_same_bits(device_x.values(), expected));
    });
  }
}

TEST_CASE("cuda store: the reference rounds to the nearest, a tie to the even one") {
  CHECK(cuda_reference::to_bf16(1.0f) == 0x3F80);
  CHECK(cuda_reference::to_bf16(1.0f + 1.0f / 256) == 0x3F80);
  CHECK(cuda_reference::to_bf16(1.0f + 3.0f / 256) == 0x3F82);
  CHECK(cuda_reference::to_bf16(std::nextafter(1.0f + 1.0f / 256, 2.0f)) == 0x3F81);
  CHECK(cuda_reference::to_bf16(3.4e38f) == 0x7F80);
  CHECK(cuda_reference::to_bf16(-NAN) == 0x7FFF);
}

}  // namespace
}  // namespace troupe::tests

// Biases and their gradients on CUDA kernels against the reference, bit for bit.
#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

TEST_CASE("cuda add_bias: a bias is added to every row, on every engine") {
  struct Case {
    int64_t N, n;
  };
  for (const auto& [N, n] :
       {Case{0, 5}, Case{5, 0}, Case{1, 1}, Case{3, 37}, Case{2, 1023}, Case{2, 1025}}) {
    CAPTURE(N);
    CAPTURE(n);
    Random random(static_cast<uint64_t>(N * 1000 + n));
    const std::vector<float> y = random.numbers(N * n), bias = random.numbers(n);
    std::vector<float> expected = y;
    for (size_t i = 0; i < y.size(); ++i) expected[i] += bias[i % bias.size()];
    on_every_engine(4, [&, N = N, n = n] {
      const simt::Array<float> device_y(y), device_bias(bias);
      kernels::cuda::add_bias(
          nullptr, {.y = device_y.device(), .bias = device_bias.device(), .N = N, .n = n});
      REQUIRE(has_same_bits(device_y.values(), expected));
    });
  }
}

void check_gradient(int64_t N, int64_t n, uint64_t schedules) {
  CAPTURE(N);
  CAPTURE(n);
  Random random(static_cast<uint64_t>(N * 100 + n));
  const std::vector<float> before = random.numbers(n);
  std::vector<uint16_t> dy(static_cast<size_t>(N * n));
  for (uint16_t& v : dy) v = random.bf16(-12, 12);
  std::vector<float> expected = before;
  cuda_reference::bias_gradient(expected, dy);
  on_every_engine(schedules, [&] {
    const simt::Array<float> dbias(before);
    const simt::Array<uint16_t> device_dy(dy);
    kernels::cuda::bias_gradient(
        nullptr, {.dbias = dbias.device(), .dy = device_dy.stored(), .N = N, .n = n});
    REQUIRE(has_same_bits(dbias.values(), expected));
  });
}

TEST_CASE("cuda bias_gradient: the reference's bits from every engine and schedule") {
  check_gradient(0, 5, 1);
  check_gradient(1, 1, 4);
  check_gradient(7, 31, 4);
  check_gradient(16, 32, 4);
  check_gradient(33, 33, 32);
  check_gradient(100, 70, 2);
  // More rows than a segment has.
  for (const int64_t N : {8191, 8192, 8193}) check_gradient(N, 2, 1);
}

TEST_CASE("cuda bias_gradient: the reference is the mathematics within float") {
  const int64_t N = 1000, n = 3;
  Random random(4);
  std::vector<uint16_t> dy(static_cast<size_t>(N * n));
  for (uint16_t& v : dy) v = random.bf16(-3, 3);
  std::vector<float> got(static_cast<size_t>(n), 0.5f);
  cuda_reference::bias_gradient(got, dy);
  for (size_t i = 0; i < got.size(); ++i) {
    double want = 0.5, size = 0.5;
    for (size_t r = 0; r < static_cast<size_t>(N); ++r) {
      want += double{cuda_reference::from_bf16(dy[r * got.size() + i])};
      size += std::abs(double{cuda_reference::from_bf16(dy[r * got.size() + i])});
    }
    CHECK(std::abs(double{got[i]} - want) <= size * 1e-6);
  }
}

}  // namespace
}  // namespace troupe::tests

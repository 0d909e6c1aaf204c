// Sums of whole arrays on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

TEST_CASE("cuda add: element by element on every engine") {
  for (const int64_t n : {0, 1, 255, 1023, 1024, 1025, 3000}) {
    CAPTURE(n);
    Random random(static_cast<uint64_t>(n + 1));
    const std::vector<float> y = random.numbers(n), x = random.numbers(n);
    std::vector<float> expected = y;
    for (size_t i = 0; i < x.size(); ++i) expected[i] += x[i];
    on_every_engine(4, [&] {
      const simt::Array<float> device_y(y), device_x(x);
      kernels::cuda::add(nullptr, {.y = device_y.device(), .x = device_x.device(), .n = n});
      REQUIRE(has_same_bits(device_y.values(), expected));
    });
  }
}

// Of many sizes, so that another order has other bits.
std::vector<float> numbers_of_many_sizes(int64_t n) {
  Random random(static_cast<uint64_t>(n + 2));
  std::vector<float> values = random.numbers(n);
  for (float& v : values) v = std::ldexp(v, random.in(-30, 30));
  return values;
}

void check_square_sums(int64_t n, int64_t skipped, uint64_t schedules) {
  CAPTURE(n);
  CAPTURE(skipped);
  const std::vector<float> all = numbers_of_many_sizes(n + skipped);
  const std::vector<double> expected =
      cuda_reference::square_sums(std::vector<float>(all.begin() + skipped, all.end()));
  on_every_engine(schedules, [&] {
    const simt::Array<float> x(all);
    const simt::Array<double> sums(expected.size());
    kernels::cuda::square_sums(nullptr, {.sums = sums.device(), .x = x.device() + skipped, .n = n});
    REQUIRE(has_same_bits(sums.values(), expected));
  });
}

TEST_CASE("cuda square_sums: the reference's bits from every engine and schedule") {
  for (const int64_t n : {0, 1, 3, 1023, 1024, 1025, 2500}) {
    check_square_sums(n, 0, 4);
    check_square_sums(n, 1, 1);  // Not on sixteen bytes.
  }
  for (const int64_t n : {65535, 65536, 65537}) check_square_sums(n, 0, 1);
}

TEST_CASE("cuda square_sums: the reference is the mathematics within double") {
  const std::vector<float> x = numbers_of_many_sizes(70000);
  const std::vector<double> got = cuda_reference::square_sums(x);
  REQUIRE(got.size() == 2);
  long double want[2] = {0, 0};
  for (size_t i = 0; i < x.size(); ++i) {
    want[i / 65536] += static_cast<long double>(x[i]) * static_cast<long double>(x[i]);
  }
  for (size_t i = 0; i < 2; ++i) {
    CHECK(got[i] == doctest::Approx(static_cast<double>(want[i])).epsilon(1e-14));
  }
}

}  // namespace
}  // namespace troupe::tests

// RMSNorm on CUDA kernels against the reference in plain C++, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

constexpr float kEpsilon = 1e-6f;

struct Case {
  int64_t N, D;
  int64_t gap = 0;  // Between a row's end and the next row.
  uint64_t schedules = 4;
};

struct Values {
  std::vector<float> x{}, weight{};
};
Values random_values(int64_t N, int64_t D) {
  Random random(static_cast<uint64_t>(N * 10007 + D));
  Values values{std::vector<float>(static_cast<size_t>(N * D)),
                std::vector<float>(static_cast<size_t>(D))};
  for (float& v : values.x) v = random.uniform();
  for (float& v : values.weight) v = random.uniform();
  return values;
}

cuda_reference::Normalised run(const Values& values, const std::vector<int32_t>& x_rows, int64_t N,
                               int64_t D, int64_t gap) {
  const int64_t rows_of_x = static_cast<int64_t>(values.x.size()) / D;
  const Rows<float> x(values.x, rows_of_x, D, D + gap);
  const simt::Array<float> weight(values.weight);
  const simt::Array<int32_t> rows(x_rows);
  const simt::Array<uint16_t> y(static_cast<size_t>(N * D));
  const simt::Array<float> rstd(static_cast<size_t>(N));
  kernels::cuda::rmsnorm(nullptr,
                         {.y = y.stored(),
                          .rstd = rstd.device(),
                          .x = x.device(),
                          .weight = weight.device(),
                          .x_rows = x_rows.empty() ? kernels::Device<int32_t>{} : rows.device(),
                          .N = N,
                          .D = D,
                          .ldx = D + gap,
                          .ldy = D,
                          .epsilon = kEpsilon});
  return {y.values(), rstd.values()};
}

TEST_CASE("cuda rmsnorm: the reference's bits from every engine and schedule") {
  const Case cases[] = {
      {.N = 1, .D = 1},
      {.N = 2, .D = 3, .gap = 5},
      {.N = 3, .D = 4, .schedules = 32},
      {.N = 2, .D = 37, .gap = 2, .schedules = 32},
      {.N = 2, .D = 127, .gap = 1},
      {.N = 2, .D = 128},
      {.N = 1, .D = 129, .gap = 3},
      {.N = 5, .D = 1000, .gap = 24, .schedules = 32},
      {.N = 2, .D = 1024},
      {.N = 1, .D = 1025},
      {.N = 2, .D = 7168, .schedules = 2},
  };
  for (const Case& c : cases) {
    CAPTURE(c.N);
    CAPTURE(c.D);
    const Values values = random_values(c.N, c.D);
    const auto expected = cuda_reference::rmsnorm(values.x, values.weight, c.N, c.D, kEpsilon);
    on_every_engine(c.schedules, [&] {
      const auto got = run(values, {}, c.N, c.D, c.gap);
      REQUIRE(has_same_bits(got.y, expected.y));
      REQUIRE(has_same_bits(got.rstd, expected.rstd));
    });
  }
}

TEST_CASE("cuda rmsnorm: rows are taken from where they are said to be, and none is no work") {
  const int64_t D = 60;
  const Values values = random_values(4, D);
  const auto all = cuda_reference::rmsnorm(values.x, values.weight, 4, D, kEpsilon);
  const std::vector<int32_t> rows = {3, 0, 3, 1, 2};
  on_every_engine(4, [&] {
    const auto got = run(values, rows, static_cast<int64_t>(rows.size()), D, 0);
    for (size_t n = 0; n < rows.size(); ++n) {
      const auto from = all.y.begin() + rows[n] * D;
      REQUIRE(std::equal(from, from + D, got.y.begin() + static_cast<int64_t>(n) * D));
      REQUIRE(got.rstd[n] == all.rstd[static_cast<size_t>(rows[n])]);
    }
    REQUIRE(run(values, {}, 0, D, 0).y.empty());
  });
}

TEST_CASE("cuda rmsnorm: the reference is the mathematics within bf16") {
  const int64_t N = 2, D = 1000;
  const Values values = random_values(N, D);
  const auto got = cuda_reference::rmsnorm(values.x, values.weight, N, D, kEpsilon);
  for (int64_t n = 0; n < N; ++n) {
    double squares = 0;
    for (int64_t d = 0; d < D; ++d) squares += std::pow(values.x[size_t(n * D + d)], 2.0);
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(D) + double{kEpsilon});
    CHECK(double{got.rstd[size_t(n)]} == doctest::Approx(rstd).epsilon(1e-6));
    for (int64_t d = 0; d < D; ++d) {
      const size_t i = size_t(n * D + d);
      const double want = values.x[i] * rstd * values.weight[size_t(d)];
      // Half of the last of eight bits, and what float arithmetic adds.
      REQUIRE(std::abs(double{cuda_reference::from_bf16(got.y[i])} - want) <=
              std::abs(want) * (1.0 / 256 + 1e-5));
    }
  }
}

}  // namespace
}  // namespace troupe::tests

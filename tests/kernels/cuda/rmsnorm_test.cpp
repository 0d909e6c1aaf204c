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

struct Gradients {
  std::vector<float> dx{}, dweight{};
};
// What dx and dweight are added to.
Gradients gradients_before(int64_t N, int64_t D) {
  Random random(static_cast<uint64_t>(N + D));
  Gradients before{std::vector<float>(static_cast<size_t>(N * D)),
                   std::vector<float>(static_cast<size_t>(D))};
  for (float& v : before.dx) v = random.uniform();
  for (float& v : before.dweight) v = random.uniform();
  return before;
}

// dx is an array with the gaps of x, which stay as they are.
Gradients run_backward(const Values& values, const std::vector<float>& dy,
                       const std::vector<float>& rstd, const std::vector<int32_t>& x_rows,
                       const Gradients& before, int64_t gap, bool overwrites) {
  const int64_t N = static_cast<int64_t>(rstd.size());
  const int64_t D = static_cast<int64_t>(values.weight.size());
  const Rows<float> x(values.x, N, D, D + gap), device_dy(dy, N, D, D + 2 * gap);
  const Rows<float> dx(before.dx, N, D, D + gap);
  const simt::Array<float> weight(values.weight), device_rstd(rstd), dweight(before.dweight);
  const simt::Array<int32_t> rows(x_rows);
  kernels::cuda::rmsnorm_backward(
      nullptr, {.dx = dx.device(),
                .dweight = dweight.device(),
                .dy = device_dy.device(),
                .x = x.device(),
                .rstd = device_rstd.device(),
                .weight = weight.device(),
                .x_rows = x_rows.empty() ? kernels::Device<int32_t>{} : rows.device(),
                .N = N,
                .D = D,
                .ldx = D + gap,
                .lddy = D + 2 * gap,
                .overwrites = overwrites});
  return {dx.values(), dweight.values()};
}

TEST_CASE("cuda rmsnorm backward: the reference's bits from every engine and schedule") {
  const Case cases[] = {
      {.N = 1, .D = 1},
      {.N = 15, .D = 3, .gap = 5},
      {.N = 16, .D = 31, .schedules = 16},
      {.N = 17, .D = 32, .gap = 4},
      {.N = 40, .D = 33, .gap = 1},
      {.N = 2, .D = 1000, .gap = 24, .schedules = 16},
      {.N = 1, .D = 1024},
      {.N = 3, .D = 1025},
      {.N = 1, .D = 4100, .schedules = 2},
      {.N = 0, .D = 6},
  };
  for (const Case& c : cases) {
    CAPTURE(c.N);
    CAPTURE(c.D);
    const Values values = random_values(c.N, c.D), other = random_values(c.N + 1, c.D);
    const std::vector<float> dy(other.x.begin(), other.x.begin() + c.N * c.D);
    const auto rstd = cuda_reference::rmsnorm(values.x, values.weight, c.N, c.D, kEpsilon).rstd;
    const Gradients before = gradients_before(c.N, c.D);
    for (const bool overwrites : {false, true}) {
      Gradients expected = before;
      cuda_reference::rmsnorm_backward(expected.dx, expected.dweight, dy, values.x, rstd,
                                       values.weight, overwrites);
      on_every_engine(c.schedules, [&] {
        const auto got = run_backward(values, dy, rstd, {}, before, c.gap, overwrites);
        REQUIRE(has_same_bits(got.dx, expected.dx));
        REQUIRE(has_same_bits(got.dweight, expected.dweight));
      });
    }
  }
}

TEST_CASE("cuda rmsnorm backward: rows are taken from where they are said to be") {
  const int64_t N = 5, D = 60;
  const Values values = random_values(N, D), other = random_values(N + 1, D);
  const std::vector<float> dy(other.x.begin(), other.x.begin() + N * D);
  const std::vector<float> rstd = {0.5f, 0.75f, 1, 1.25f, 1.5f};
  const std::vector<int32_t> rows = {3, 0, 4, 1, 2};
  const Gradients before = gradients_before(N, D);
  Values moved = values;
  Gradients expected = before;
  const auto move_row = [&](std::vector<float>& to, size_t to_row, const std::vector<float>& from,
                            size_t from_row) {
    std::copy_n(from.begin() + static_cast<int64_t>(from_row) * D, D,
                to.begin() + static_cast<int64_t>(to_row) * D);
  };
  for (size_t n = 0; n < rows.size(); ++n) {
    move_row(moved.x, n, values.x, static_cast<size_t>(rows[n]));
    move_row(expected.dx, n, before.dx, static_cast<size_t>(rows[n]));
  }
  cuda_reference::rmsnorm_backward(expected.dx, expected.dweight, dy, moved.x, rstd, values.weight,
                                   false);
  const Gradients by_n = expected;
  for (size_t n = 0; n < rows.size(); ++n) {
    move_row(expected.dx, static_cast<size_t>(rows[n]), by_n.dx, n);
  }
  on_every_engine(4, [&] {
    const auto got = run_backward(values, dy, rstd, rows, before, 0, false);
    REQUIRE(has_same_bits(got.dx, expected.dx));
    REQUIRE(has_same_bits(got.dweight, expected.dweight));
  });
}

// PTX is left out: two million threads are slow there.
TEST_CASE("cuda rmsnorm backward: the weight's gradient is added in segments of 8,192 rows") {
  const int64_t N = 8192 + 20, D = 1;
  const Values values = random_values(N, D), other = random_values(N + 1, D);
  const std::vector<float> dy(other.x.begin(), other.x.begin() + N);
  const std::vector<float> rstd(static_cast<size_t>(N), 0.875f);
  const Gradients before = gradients_before(N, D);
  Gradients expected = before;
  cuda_reference::rmsnorm_backward(expected.dx, expected.dweight, dy, values.x, rstd, values.weight,
                                   true);
  for (const Engine& engine : engines()) {
    if (engine.interpreter != nullptr) continue;
    CAPTURE(engine.name);
    use(engine, 1);
    const auto got = run_backward(values, dy, rstd, {}, before, 0, true);
    CHECK(has_same_bits(got.dx, expected.dx));
    CHECK(has_same_bits(got.dweight, expected.dweight));
    CHECK(text_of(simt::take_problems()) == "");
  }
}

TEST_CASE("cuda rmsnorm backward: the reference is the slope of the mathematics") {
  const int64_t N = 2, D = 50;
  const Values values = random_values(N, D), other = random_values(N + 1, D);
  const std::vector<float> dy(other.x.begin(), other.x.begin() + N * D);
  // The sum of dy y in double, with one number of x or weight moved.
  const auto loss = [&](size_t moved_x, size_t moved_weight, double by) {
    double sum = 0;
    for (size_t n = 0; n < size_t{N}; ++n) {
      double squares = 0, row = 0;
      for (size_t d = 0; d < size_t{D}; ++d) {
        const size_t i = n * size_t{D} + d;
        const double x = double{values.x[i]} + (i == moved_x ? by : 0);
        squares += x * x;
        row += dy[i] * x * (double{values.weight[d]} + (d == moved_weight ? by : 0));
      }
      sum += row / std::sqrt(squares / double{D} + double{kEpsilon});
    }
    return sum;
  };
  const auto rstd = cuda_reference::rmsnorm(values.x, values.weight, N, D, kEpsilon).rstd;
  Gradients got{std::vector<float>(values.x.size()), std::vector<float>(values.weight.size())};
  cuda_reference::rmsnorm_backward(got.dx, got.dweight, dy, values.x, rstd, values.weight, true);
  const size_t none = SIZE_MAX;
  const double h = 1e-5;
  for (size_t i = 0; i < got.dx.size(); ++i) {
    const double want = (loss(i, none, h) - loss(i, none, -h)) / (2 * h);
    CHECK(std::abs(double{got.dx[i]} - want) <= 1e-5);
  }
  for (size_t d = 0; d < got.dweight.size(); ++d) {
    const double want = (loss(none, d, h) - loss(none, d, -h)) / (2 * h);
    CHECK(std::abs(double{got.dweight[d]} - want) <= 1e-5);
  }
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

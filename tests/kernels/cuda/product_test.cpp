// Products on emulated tensor cores against the reference in plain C++, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::TensorCore;

struct Case {
  int64_t M, N, K;
  uint64_t schedules = 2;
};

int64_t rounded_up(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

// Exponents far apart, so that what is cut off shows.
std::vector<uint16_t> random_bf16(int64_t size, uint64_t seed) {
  Random random(seed);
  std::vector<uint16_t> values(static_cast<size_t>(size));
  for (uint16_t& v : values) v = random.bf16(-12, 3);
  return values;
}

// Rows of padded width, zeros behind them.
std::vector<uint16_t> packed(const std::vector<uint16_t>& w, int64_t rows, int64_t cols) {
  const int64_t width = kernels::padded(cols);
  std::vector<uint16_t> all(static_cast<size_t>(rows * width));
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(w.begin() + r * cols, cols, all.begin() + r * width);
  }
  return all;
}

struct Operands {
  int64_t M, N, K;
  std::vector<uint16_t> x, w;

  explicit Operands(const Case& c)
      : M(c.M), N(c.N), K(c.K), x(random_bf16(M * K, 1)), w(random_bf16(N * K, 2)) {}
  std::vector<float> expected(TensorCore core) const {
    return cuda_reference::product(core, x, w, M, N, K);
  }
  // Of both tensor cores, so that each engine finds its own.
  struct Both {
    std::vector<float> sm80{}, sm90{};
    const std::vector<float>& now() const {
      return simt::settings().tensor_core == TensorCore::kSm80 ? sm80 : sm90;
    }
  };
  Both expected() const { return {expected(TensorCore::kSm80), expected(TensorCore::kSm90)}; }
};

// Runs a product whose `args` lack the operands. Rows of x lie on sixteen bytes if `gap` is 0.
void run(const Operands& o, kernels::Gemm args, int64_t gap = 0) {
  const int64_t ldx = rounded_up(o.K, 8) + gap;
  const Rows<uint16_t> x(o.x, o.M, o.K, ldx);
  const simt::Array<uint16_t> w(packed(o.w, o.N, o.K));
  args.x = x.stored();
  args.w = {w.stored().address, o.N, o.K};
  args.ldx = ldx;
  args.ldy = o.N;
  if (args.M == 0) args.M = o.M;
  kernels::cuda::gemm(nullptr, args);
}

std::vector<float> product(const Operands& o) {
  const simt::Array<float> y(static_cast<size_t>(o.M * o.N));
  run(o, {.y = y.device()});
  return y.values();
}

TEST_CASE("cuda product: the reference's bits from every engine and schedule") {
  const Case cases[] = {
      {.M = 1, .N = 1, .K = 1},      {.M = 1, .N = 8, .K = 32, .schedules = 32},
      {.M = 15, .N = 129, .K = 40},  {.M = 16, .N = 128, .K = 64},
      {.M = 17, .N = 7, .K = 33},    {.M = 17, .N = 65, .K = 96, .schedules = 32},
      {.M = 63, .N = 63, .K = 31},   {.M = 64, .N = 64, .K = 128},
      {.M = 65, .N = 1, .K = 200},   {.M = 130, .N = 70, .K = 72},
      {.M = 3, .N = 300, .K = 1024},
  };
  for (const Case& c : cases) {
    CAPTURE(c.M);
    CAPTURE(c.N);
    CAPTURE(c.K);
    const Operands operands(c);
    const auto expected = operands.expected();
    on_every_engine(c.schedules,
                    [&] { REQUIRE(has_same_bits(product(operands), expected.now())); });
  }
}

// Its sum is below every float: -0 from the last step, and +0 where a step of zeros follows.
TEST_CASE("cuda product: the sign of a sum that is cut off to zero") {
  constexpr uint16_t kMinus = 0x9A00, kPlus = 0x1A00;  // -2^-75, 2^-75
  for (const int64_t K : {16, 32, 48, 64}) {
    CAPTURE(K);
    Operands operands(Case{.M = 1, .N = 1, .K = K});
    for (auto* values : {&operands.x, &operands.w}) std::fill(values->begin(), values->end(), 0);
    operands.x.back() = kMinus;
    operands.w.back() = kPlus;
    const auto expected = operands.expected();
    CHECK(std::signbit(expected.sm90[0]) == (K % 32 == 0));
    on_every_engine(2, [&] { REQUIRE(has_same_bits(product(operands), expected.now())); });
  }
}

TEST_CASE("cuda product: a row's bits depend on no other row, nor on the tile") {
  const Operands all(Case{.M = 40, .N = 33, .K = 96});
  on_every_engine(2, [&] {
    const std::vector<float> together = product(all);  // In tiles of 64 rows.
    for (const int64_t m : {0, 17, 39}) {              // And of sixteen.
      Operands one(Case{.M = 1, .N = all.N, .K = all.K});
      one.x.assign(all.x.begin() + m * all.K, all.x.begin() + (m + 1) * all.K);
      REQUIRE(has_same_bits(product(one), std::vector<float>(together.begin() + m * all.N,
                                                             together.begin() + (m + 1) * all.N)));
    }
  });
}

TEST_CASE("cuda product: rounded where stored, added where it accumulates, rows where they are") {
  const Operands operands(Case{.M = 20, .N = 24, .K = 48});
  const auto expected = operands.expected();
  on_every_engine(4, [&] {
    const std::vector<float>& sums = expected.now();
    const simt::Array<uint16_t> stored(sums.size());
    run(operands, {.y_stored = stored.stored()});
    const simt::Array<float> added(std::vector<float>(sums.size(), 0.75f));
    run(operands, {.y = added.device(), .accumulates = true});
    const std::vector<int32_t> rows = {19, 0, 7, 7};
    const simt::Array<int32_t> x_rows(rows);
    const simt::Array<float> gathered(rows.size() * static_cast<size_t>(operands.N));
    run(operands, {.y = gathered.device(),
                   .M = static_cast<int64_t>(rows.size()),
                   .x_rows = x_rows.device()});
    const auto stored_values = stored.values();
    const auto added_values = added.values();
    for (size_t i = 0; i < sums.size(); ++i) {
      REQUIRE(stored_values[i] == cuda_reference::to_bf16(sums[i]));
      REQUIRE(added_values[i] == 0.75f + sums[i]);
    }
    const auto gathered_values = gathered.values();
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto row = sums.begin() + rows[r] * operands.N;
      REQUIRE(std::equal(row, row + operands.N,
                         gathered_values.begin() + static_cast<int64_t>(r) * operands.N));
    }
  });
}

TEST_CASE("cuda product: rows of x that do not lie on sixteen bytes give the same bits") {
  for (const Case& c : {Case{.M = 1, .N = 1, .K = 1}, Case{.M = 15, .N = 9, .K = 40},
                        Case{.M = 17, .N = 65, .K = 33}, Case{.M = 65, .N = 7, .K = 64}}) {
    CAPTURE(c.M);
    const Operands operands(c);
    const auto expected = operands.expected();
    on_every_engine(4, [&] {
      const simt::Array<float> y(static_cast<size_t>(c.M * c.N));
      run(operands, {.y = y.device()}, 3);
      REQUIRE(has_same_bits(y.values(), expected.now()));
    });
  }
}

// Products of rows with the weight of their group, which has E of them.
struct Groups {
  std::vector<int32_t> offsets{0};
  int64_t M, E, N, K;
  std::vector<uint16_t> x, w;

  Groups(const std::vector<int32_t>& sizes, int64_t rows, int64_t cols)
      : E(static_cast<int64_t>(sizes.size())), N(rows), K(cols) {
    for (const int32_t size : sizes) offsets.push_back(offsets.back() + size);
    M = offsets.back();
    x = random_bf16(M * K, 7);
    w = random_bf16(E * N * K, 8);
  }
  std::vector<float> expected(TensorCore core) const {
    std::vector<float> y;
    for (size_t e = 0; e + 1 < offsets.size(); ++e) {
      const std::vector<uint16_t> rows(x.begin() + offsets[e] * K, x.begin() + offsets[e + 1] * K);
      const int64_t first = static_cast<int64_t>(e) * N * K;
      const std::vector<uint16_t> weight(w.begin() + first, w.begin() + first + N * K);
      const auto part =
          cuda_reference::product(core, rows, weight, offsets[e + 1] - offsets[e], N, K);
      y.insert(y.end(), part.begin(), part.end());
    }
    return y;
  }
  // M, as it is told, may be larger than the number of rows.
  void run(kernels::Gemm gemm, int64_t told) const {
    const simt::Array<uint16_t> device_w(packed(w, E * N, K));
    const simt::Array<int32_t> device_offsets(offsets);
    gemm.w = {device_w.stored().address, N, K};
    gemm.M = told;
    gemm.ldy = N;
    kernels::cuda::grouped_gemm(nullptr, {.gemm = gemm,
                                          .w_stride_bytes = N * kernels::padded(K) * 2,
                                          .num_groups = E,
                                          .offsets = device_offsets.device()});
  }
};

TEST_CASE("cuda grouped product: each row by the weight of its group, on every engine") {
  struct GroupCase {
    std::vector<int32_t> sizes;
    int64_t N, K;
    uint64_t schedules;
  };
  std::vector<int32_t> many(70, 1);
  many[31] = 0;
  many[32] = 17;
  many[69] = 0;
  const GroupCase cases[] = {
      {{0, 0}, 8, 32, 1},          {{1}, 1, 1, 4},           {{3, 0, 5, 1}, 33, 40, 32},
      {{16, 17, 15}, 7, 64, 4},    {{130, 0, 65}, 9, 33, 2}, {{0, 0, 40}, 65, 32, 2},
      {{64, 63, 1, 0}, 20, 96, 2}, {many, 5, 32, 2},
  };
  for (const GroupCase& c : cases) {
    const Groups groups(c.sizes, c.N, c.K);
    CAPTURE(groups.M);
    CAPTURE(groups.E);
    const std::vector<float> sm80 = groups.expected(TensorCore::kSm80);
    const std::vector<float> sm90 = groups.expected(TensorCore::kSm90);
    on_every_engine(c.schedules, [&] {
      const auto& expected = simt::settings().tensor_core == TensorCore::kSm80 ? sm80 : sm90;
      for (const int64_t gap : {0, 1}) {
        const int64_t ldx = rounded_up(c.K, 8) + gap;
        const Rows<uint16_t> x(groups.x, groups.M, c.K, ldx);
        const simt::Array<float> y(expected.size());
        groups.run({.y = y.device(), .x = x.stored(), .ldx = ldx}, groups.M + gap);
        REQUIRE(has_same_bits(y.values(), expected));
      }
    });
  }
}

TEST_CASE("cuda grouped product: rows where they are, added where it accumulates") {
  const Groups groups({2, 0, 3}, 24, 40);
  // Row m of y is row 4 - m of what is kept.
  std::vector<uint16_t> kept;
  std::vector<int32_t> rows;
  for (int32_t m = 4; m >= 0; --m) {
    kept.insert(kept.end(), groups.x.begin() + m * groups.K, groups.x.begin() + (m + 1) * groups.K);
    rows.push_back(m);
  }
  on_every_engine(4, [&] {
    const std::vector<float> sums = groups.expected(simt::settings().tensor_core);
    const simt::Array<uint16_t> x(kept);
    const simt::Array<int32_t> x_rows(rows);
    const simt::Array<float> y(std::vector<float>(sums.size(), 0.75f));
    groups.run({.y = y.device(),
                .x = x.stored(),
                .ldx = groups.K,
                .x_rows = x_rows.device(),
                .accumulates = true},
               groups.M);
    const std::vector<float> got = y.values();
    for (size_t i = 0; i < sums.size(); ++i) REQUIRE(got[i] == 0.75f + sums[i]);
  });
}

TEST_CASE("cuda product: parts have a weight and columns of their own") {
  const int64_t M = 5, N = 24, K = 40, parts = 3;
  const std::vector<uint16_t> x = random_bf16(M * K * parts, 5), w = random_bf16(N * K * parts, 6);
  on_every_engine(4, [&] {
    const simt::Array<uint16_t> device_x(x), device_w(packed(w, N * parts, K));
    const simt::Array<float> y(static_cast<size_t>(M * N * parts));
    kernels::cuda::gemm(nullptr, {.y = y.device(),
                                  .x = device_x.stored(),
                                  .w = {device_w.stored().address, N, K},
                                  .M = M,
                                  .ldy = N * parts,
                                  .ldx = K * parts,
                                  .num_parts = parts,
                                  .x_part = K,
                                  .y_part = N,
                                  .w_part_bytes = N * kernels::padded(K) * 2});
    const std::vector<float> got = y.values();
    for (int64_t p = 0; p < parts; ++p) {
      std::vector<uint16_t> part_x;
      for (int64_t m = 0; m < M; ++m) {
        const auto from = x.begin() + (m * parts + p) * K;
        part_x.insert(part_x.end(), from, from + K);
      }
      const std::vector<uint16_t> part_w(w.begin() + p * N * K, w.begin() + (p + 1) * N * K);
      const auto want =
          cuda_reference::product(simt::settings().tensor_core, part_x, part_w, M, N, K);
      for (int64_t i = 0; i < M * N; ++i) {
        REQUIRE(got[size_t(i / N * N * parts + p * N + i % N)] == want[size_t(i)]);
      }
    }
  });
}

TEST_CASE("cuda product: nothing is written where there is no row or no column") {
  on_every_engine(1, [] {
    const simt::Array<float> y(std::vector<float>(8, 3.0f));
    const simt::Array<uint16_t> x(8), w(32);
    kernels::Gemm args{.y = y.device(),
                       .x = x.stored(),
                       .w = {w.stored().address, 1, 8},
                       .M = 0,
                       .ldy = 1,
                       .ldx = 8};
    kernels::cuda::gemm(nullptr, args);
    args.M = 1;
    args.w.rows = 0;
    kernels::cuda::gemm(nullptr, args);
    REQUIRE(has_same_bits(y.values(), std::vector<float>(8, 3.0f)));
  });
}

TEST_CASE("cuda product: the reference is the mathematics within float") {
  const Operands o(Case{.M = 9, .N = 11, .K = 333});
  for (const TensorCore core : {TensorCore::kSm80, TensorCore::kSm90}) {
    const std::vector<float> got = o.expected(core);
    for (int64_t m = 0; m < o.M; ++m) {
      for (int64_t n = 0; n < o.N; ++n) {
        double want = 0, size = 0;
        for (int64_t k = 0; k < o.K; ++k) {
          const double term = double{cuda_reference::from_bf16(o.x[size_t(m * o.K + k)])} *
                              cuda_reference::from_bf16(o.w[size_t(n * o.K + k)]);
          want += term;
          size += std::abs(term);
        }
        // Each of 21 steps cuts off less than 17 units of 2^-24 of its largest term.
        REQUIRE(std::abs(double{got[size_t(m * o.N + n)]} - want) <= size * 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::tests

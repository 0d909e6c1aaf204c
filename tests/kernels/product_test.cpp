// Matrix products against the definition of `cpu-1`, written here a second time.
#include <doctest/doctest.h>
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/on_device.h"

namespace troupe::kernels {
namespace {

using tests::from_bf16;
using tests::OnDevice;
using tests::random_values;
using tests::require_same;
using tests::rounded;

constexpr int64_t kRowsMax = 200;
const std::vector<int64_t> kRowCounts = {1, 2, 3, 7, 16, 31, 97, 200};
const std::vector<int64_t> kInner = {1, 31, 32, 33, 64, 100};
const std::vector<int64_t> kOutputs = {1, 15, 16, 17, 48, 100};

// The sum over k of a[k] * b[k]: per block of 32 an even and an odd chain of fused multiply-adds
// from zero, added to each other and then to what the blocks before gave; subnormals are read and
// left as zero. Compiled once and not inlined, so that no operation leaves the changed mode. The
// product of two bf16 values has 16 bits: with c's 24 the exact sum fits double wherever it could
// lie near the middle between two floats, so rounding twice is rounding once.
[[gnu::noinline]] float definition(const float* a, const float* b, int64_t K, float before,
                                   bool accumulates) {
  const unsigned saved = _mm_getcsr();
  _mm_setcsr(0x9fc0);
  volatile float c = 0;
  for (int64_t block = 0; block < K; block += 32) {
    volatile float chain[2] = {0, 0};
    for (int64_t i = 0; i < 32; ++i) {
      const double x = block + i < K ? a[block + i] : 0.0f;
      const double y = block + i < K ? b[block + i] : 0.0f;
      chain[i % 2] = static_cast<float>(x * y + static_cast<double>(chain[i % 2]));
    }
    const volatile float both = chain[0] + chain[1];
    c = c + both;
  }
  if (accumulates) c = before + c;
  const float result = c;
  _mm_setcsr(saved);
  return result;
}

enum class Regime { kOrdinary, kTiny, kHuge, kSpecial };
constexpr Regime kRegimes[] = {Regime::kOrdinary, Regime::kTiny, Regime::kHuge, Regime::kSpecial};

// bf16 values as floats.
std::vector<float> operand(int64_t count, uint64_t seed, Regime regime) {
  RandomStream random(seed, StreamId::kInit);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& x : values) {
    const auto sign_and_fraction = static_cast<uint16_t>(random.next_u32() & 0x807f);
    uint32_t exponent = 120 + static_cast<uint32_t>(random.below(8));
    // Products around 2^-126, and operands that are subnormal themselves.
    if (regime == Regime::kTiny)
      exponent = static_cast<uint32_t>(random.below(4) == 0 ? 0 : 58 + random.below(14));
    if (regime == Regime::kHuge) exponent = 180 + static_cast<uint32_t>(random.below(16));
    if (regime == Regime::kSpecial && random.below(24) == 0) {
      const float infinity = std::numeric_limits<float>::infinity();
      const float specials[] = {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 0.0f,
                                -0.0f};
      x = specials[random.below(5)];
      continue;
    }
    x = from_bf16(static_cast<uint16_t>(sign_and_fraction | exponent << 7));
  }
  return values;
}

// Rows of `width` at ld with NaN between them: reading on would show.
std::vector<float> spread(const std::vector<float>& rows, int64_t width, int64_t ld) {
  const int64_t count = static_cast<int64_t>(rows.size()) / width;
  std::vector<float> out(static_cast<size_t>(count * ld), std::numeric_limits<float>::quiet_NaN());
  for (int64_t r = 0; r < count; ++r) {
    std::copy_n(rows.begin() + r * width, width, out.begin() + r * ld);
  }
  return out;
}

// Rows [0, M) of want (., N), with canaries in the columns up to ld and the rows up to rows_max.
std::vector<float> framed(const std::vector<float>& want, int64_t M, int64_t N, int64_t ld,
                          int64_t rows, const std::vector<float>& before) {
  auto out = before;
  for (int64_t m = 0; m < M; ++m) std::copy_n(want.begin() + m * N, N, out.begin() + m * ld);
  out.resize(static_cast<size_t>(rows * ld));
  return out;
}

// Calls body(w, x, want, before, accumulated): operands, their product, and the product added to
// `before`, at ld N.
template <class Body>
void for_each_product(int64_t K, int64_t N, Regime regime, Body&& body) {
  const auto seed = static_cast<uint64_t>(K * 1000 + N) * 4 + static_cast<uint64_t>(regime);
  const auto x = operand(kRowsMax * K, seed, regime);
  const auto w = operand(N * K, seed + 1000000, regime);
  const auto before = random_values(kRowsMax * N, seed);
  std::vector<float> want(before.size()), accumulated(before.size());
  for (int64_t m = 0; m < kRowsMax; ++m) {
    for (int64_t n = 0; n < N; ++n) {
      const auto at = static_cast<size_t>(m * N + n);
      want[at] = definition(&x[static_cast<size_t>(m * K)], &w[static_cast<size_t>(n * K)], K, 0,
                            /*accumulates=*/false);
      accumulated[at] = definition(&x[static_cast<size_t>(m * K)], &w[static_cast<size_t>(n * K)],
                                   K, before[at], /*accumulates=*/true);
    }
  }
  body(w, x, want, before, accumulated);
}

void check_forward(const Backend& backend, Regime regime, const std::vector<int64_t>& inner,
                   const std::vector<int64_t>& outputs) {
  CAPTURE(backend.name);
  CAPTURE(static_cast<int>(regime));
  for (int64_t K : inner) {
    for (int64_t N : outputs) {
      CAPTURE(K);
      CAPTURE(N);
      for_each_product(K, N, regime,
                       [&](const auto& w, const auto& x, const auto& want, const auto& before,
                           const auto& accumulated) {
                         OnDevice device(backend);
                         const int64_t ldx = K + 5, ldy = N + 3;
                         const Stored left = device.send_stored(spread(x, K, ldx));
                         const Packed packed = device.pack(w, N, K);
                         for (int64_t M : kRowCounts) {
                           CAPTURE(M);
                           const std::vector<float> canary(static_cast<size_t>((M + 1) * ldy),
                                                           7.0f);
                           Gemm args{.x = left, .w = packed, .M = M, .ldy = ldy, .ldx = ldx};
                           args.y = device.send(canary);
                           device->gemm(device.stream(), args);
                           require_same(device.receive(args.y, (M + 1) * ldy),
                                        framed(want, M, N, ldy, M + 1, canary));
                           if (M != 7 && M != 97) continue;

                           // Stored output: the product, rounded once.
                           std::vector<float> halves;
                           for (float value : want) halves.push_back(rounded(value));
                           Gemm stored = args;
                           stored.y = {};
                           stored.y_stored = device.send_stored(canary);
                           device->gemm(device.stream(), stored);
                           require_same(device.receive(stored.y_stored, (M + 1) * ldy),
                                        framed(halves, M, N, ldy, M + 1, canary));

                           // Added to what is there.
                           Gemm added = args;
                           added.accumulates = true;
                           const auto start = framed(before, M, N, ldy, M + 1, canary);
                           added.y = device.send(start);
                           device->gemm(device.stream(), added);
                           require_same(device.receive(added.y, (M + 1) * ldy),
                                        framed(accumulated, M, N, ldy, M + 1, canary));

                           // Rows taken from anywhere, here back to front with one twice.
                           std::vector<int32_t> rows;
                           std::vector<float> gathered;
                           for (int64_t m = 0; m < M; ++m) {
                             rows.push_back(static_cast<int32_t>(m == 1 ? M - 1 : M - 1 - m));
                             gathered.insert(gathered.end(), want.begin() + rows.back() * N,
                                             want.begin() + (rows.back() + 1) * N);
                           }
                           Gemm picked = args;
                           picked.x_rows = device.send(rows);
                           picked.y = device.send(canary);
                           device->gemm(device.stream(), picked);
                           require_same(device.receive(picked.y, (M + 1) * ldy),
                                        framed(gathered, M, N, ldy, M + 1, canary));
                         }
                       });
    }
  }
}

// dw (rows, cols) over T tokens, with gaps and canaries. What is overwritten is no number before.
void check_weight_gradient(const Backend& backend, Regime regime, int64_t rows, int64_t cols,
                           int64_t T, bool overwrites) {
  CAPTURE(backend.name);
  CAPTURE(static_cast<int>(regime));
  CAPTURE(rows);
  CAPTURE(cols);
  CAPTURE(T);
  CAPTURE(overwrites);
  const auto seed = static_cast<uint64_t>((rows * 1000 + cols) * 1000 + T);
  const auto dy = operand(rows * T, seed, regime);  // Column by column: (rows, T).
  const auto x = operand(cols * T, seed + 1, regime);
  auto before = random_values(rows * cols, seed);
  std::vector<float> want(before.size());
  if (overwrites) std::fill(before.begin(), before.end(), std::nanf(""));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const auto at = static_cast<size_t>(r * cols + c);
      want[at] = definition(dy.data() + r * T, x.data() + c * T, T, overwrites ? 0.0f : before[at],
                            /*accumulates=*/true);
    }
  }
  const auto tokens = [&](const std::vector<float>& columns, int64_t width, int64_t ld,
                          bool is_reversed) {
    std::vector<float> out(static_cast<size_t>(T * ld), std::numeric_limits<float>::quiet_NaN());
    for (int64_t t = 0; t < T; ++t) {
      const int64_t row = is_reversed ? T - 1 - t : t;
      for (int64_t i = 0; i < width; ++i) {
        out[static_cast<size_t>(row * ld + i)] = columns[static_cast<size_t>(i * T + t)];
      }
    }
    return out;
  };
  std::vector<int32_t> reversed;
  for (int64_t t = 0; t < T; ++t) reversed.push_back(static_cast<int32_t>(T - 1 - t));
  for (const bool is_gathered : {false, true}) {
    CAPTURE(is_gathered);
    OnDevice device(backend, Precision::kBf16,
                    {.tokens_max = std::max<int64_t>(256, T), .width_max = 256});
    const int64_t lddy = rows + 3, ldx = cols + 1, ldw = cols + 2;
    const std::vector<float> canary(static_cast<size_t>((rows + 1) * ldw), 7.0f);
    WeightGradient args{.T = T,
                        .rows = rows,
                        .cols = cols,
                        .ldw = ldw,
                        .lddy = lddy,
                        .ldx = ldx,
                        .overwrites = overwrites};
    args.dw = device.send(framed(before, rows, cols, ldw, rows + 1, canary));
    args.dy = device.send_stored(tokens(dy, rows, lddy, is_gathered));
    args.x = device.send_stored(tokens(x, cols, ldx, is_gathered));
    if (is_gathered) args.dy_rows = args.x_rows = device.send(reversed);
    device->weight_gradient(device.stream(), args);
    require_same(device.receive(args.dw, (rows + 1) * ldw),
                 framed(want, rows, cols, ldw, rows + 1, canary));
  }
}
void check_weight_gradient(const Backend& backend, Regime regime, int64_t rows, int64_t cols,
                           int64_t T) {
  for (const bool overwrites : {false, true}) {
    check_weight_gradient(backend, regime, rows, cols, T, overwrites);
  }
}

TEST_CASE("product: y = x W^T has the bits of the definition for any shape") {
  for (const Backend* backend : cpu_backends()) {
    check_forward(*backend, Regime::kOrdinary, kInner, kOutputs);
  }
}

TEST_CASE("product: subnormal, huge and special values are treated as the definition says") {
  for (const Backend* backend : cpu_backends()) {
    for (Regime regime : {Regime::kTiny, Regime::kHuge, Regime::kSpecial}) {
      check_forward(*backend, regime, {1, 33, 64}, {15, 48});
    }
  }
}

TEST_CASE("product: the regimes are what their names say") {
  int64_t flushed = 0, infinite = 0, not_numbers = 0;
  for_each_product(64, 48, Regime::kTiny,
                   [&](const auto& w, const auto& x, const auto& want, const auto&, const auto&) {
                     for (size_t at = 0; at < want.size(); ++at) {
                       double exact = 0;
                       for (size_t k = 0; k < 64; ++k) {
                         exact += static_cast<double>(x[at / 48 * 64 + k]) * w[at % 48 * 64 + k];
                       }
                       flushed += static_cast<double>(want[at]) !=
                                  static_cast<double>(static_cast<float>(exact));
                     }
                   });
  for_each_product(64, 48, Regime::kHuge,
                   [&](const auto&, const auto&, const auto& want, const auto&, const auto&) {
                     for (float value : want) infinite += std::isinf(value);
                   });
  for_each_product(64, 48, Regime::kSpecial,
                   [&](const auto&, const auto&, const auto& want, const auto&, const auto&) {
                     for (float value : want) not_numbers += value != value;
                   });
  CHECK(flushed > 100);
  CHECK(infinite > 100);
  CHECK(not_numbers > 100);
}

TEST_CASE("product: dw += dy^T x has the bits of the definition for any shape") {
  for (const Backend* backend : cpu_backends()) {
    for (Regime regime : kRegimes) {
      check_weight_gradient(*backend, regime, 1, 1, 1);
      check_weight_gradient(*backend, regime, 17, 15, 33);
      check_weight_gradient(*backend, regime, 97, 48, 31);
    }
    check_weight_gradient(*backend, Regime::kOrdinary, 7, 100, 200);
    check_weight_gradient(*backend, Regime::kOrdinary, 200, 17, 64);
    check_weight_gradient(*backend, Regime::kOrdinary, 31, 33, 32);
    check_weight_gradient(*backend, Regime::kOrdinary, 2, 16, 100);
  }
}

TEST_CASE("product: a sum that is -0 is +0 in a gradient that is overwritten") {
  // The second block leaves a negative subnormal, which is flushed to -0.
  std::vector<float> dy(64), x(64);
  dy[0] = 0x1.8p-63f;
  dy[32] = -0x1.cp-63f;
  x[0] = x[32] = 0x1p-63f;
  REQUIRE(std::signbit(definition(dy.data(), x.data(), 64, 0, /*accumulates=*/false)));
  for (const Backend* backend : cpu_backends()) {
    CAPTURE(backend->name);
    OnDevice device(*backend);
    WeightGradient args{.dw = device.filled(1, std::nanf("")),
                        .dy = device.send_stored(dy),
                        .x = device.send_stored(x),
                        .T = 64,
                        .rows = 1,
                        .cols = 1,
                        .ldw = 1,
                        .lddy = 1,
                        .ldx = 1,
                        .overwrites = true};
    device->weight_gradient(device.stream(), args);
    require_same(device.receive(args.dw, 1), {0.0f});
  }
}

TEST_CASE("product: a long inner axis is cut, and has the bits of the definition") {
  for (const Backend* backend : cpu_backends()) {
    check_weight_gradient(*backend, Regime::kOrdinary, 14, 20, 3333);
    check_weight_gradient(*backend, Regime::kTiny, 3, 5, 1600);
    CAPTURE(backend->name);
    constexpr int64_t kLong = 3333, M = 14, N = 20;
    const auto x = operand(M * kLong, 1, Regime::kOrdinary);
    const auto w = operand(N * kLong, 2, Regime::kOrdinary);
    std::vector<float> want;
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t n = 0; n < N; ++n) {
        want.push_back(definition(&x[static_cast<size_t>(m * kLong)],
                                  &w[static_cast<size_t>(n * kLong)], kLong, 0, false));
      }
    }
    OnDevice device(*backend, Precision::kBf16, {.tokens_max = M, .width_max = kLong});
    const Device<float> y = device.filled(M * N, 7.0f);
    device->gemm(device.stream(), {.y = y,
                                   .x = device.send_stored(x),
                                   .w = device.pack(w, N, kLong),
                                   .M = M,
                                   .ldy = N,
                                   .ldx = kLong});
    require_same(device.receive(y, M * N), want);
  }
}

TEST_CASE("product: parts are products of their own columns") {
  constexpr int64_t kParts = 3, M = 300, N = 20, K = 45, kLeft = kParts * K + 2;
  constexpr int64_t kOut = kParts * N + 1;
  const auto x = operand(M * kLeft, 1, Regime::kOrdinary);
  for (const Backend* backend : cpu_backends()) {
    CAPTURE(backend->name);
    OnDevice device(*backend);
    const int64_t stride = device->packed_bytes(Precision::kBf16, N, K);
    const uint64_t weights = device.reserve(kParts * stride);
    const Stored left = device.send_stored(x);
    for (int64_t p = 0; p < kParts; ++p) {
      device->pack(device.stream(), {weights + static_cast<uint64_t>(p * stride), N, K},
                   device.send(random_values(N * K, static_cast<uint64_t>(10 + p))), K, false);
    }
    const auto fill = [&](bool is_stored, bool accumulates, bool at_once) {
      const Device<float> y = device.filled(M * kOut, 7.0f);
      const Stored y_stored = device.filled_stored(M * kOut, 7.0f);
      for (int64_t p = 0; p < (at_once ? 1 : kParts); ++p) {
        Gemm args{.x = left + p * K,
                  .w = {weights + static_cast<uint64_t>(p * stride), N, K},
                  .M = M,
                  .ldy = kOut,
                  .ldx = kLeft,
                  .accumulates = accumulates};
        if (is_stored) {
          args.y_stored = y_stored + p * N;
        } else {
          args.y = y + p * N;
        }
        if (at_once) {
          args.num_parts = kParts;
          args.x_part = K;
          args.y_part = N;
          args.w_part_bytes = stride;
        }
        device->gemm(device.stream(), args);
      }
      return is_stored ? device.receive(y_stored, M * kOut) : device.receive(y, M * kOut);
    };
    require_same(fill(false, false, true), fill(false, false, false));
    require_same(fill(false, true, true), fill(false, true, false));
    require_same(fill(true, false, true), fill(true, false, false));
  }
}

TEST_CASE("product: a group's rows are multiplied as if they were alone") {
  constexpr int64_t kGroups = 5, K = 45, N = 37;
  const std::vector<int32_t> offsets = {0, 3, 3, 20, 21, 60};
  const int64_t M = offsets.back();
  const auto x = operand(M * K, 1, Regime::kOrdinary);
  const auto dy = operand(M * N, 2, Regime::kOrdinary);
  for (const Backend* backend : cpu_backends()) {
    CAPTURE(backend->name);
    OnDevice device(*backend);
    const int64_t stride = device->packed_bytes(Precision::kBf16, N, K);
    const uint64_t weights = device.reserve(stride * kGroups);
    const Stored left = device.send_stored(x), right = device.send_stored(dy);
    for (int64_t e = 0; e < kGroups; ++e) {
      const auto w = device.send(random_values(N * K, static_cast<uint64_t>(10 + e)));
      device->pack(device.stream(), {weights + static_cast<uint64_t>(e * stride), N, K}, w, K,
                   /*is_transposed=*/false);
    }
    std::vector<float> want(static_cast<size_t>(M * N)), want_dw;
    for (int64_t e = 0; e < kGroups; ++e) {
      const int64_t first = offsets[static_cast<size_t>(e)];
      const int64_t rows = offsets[static_cast<size_t>(e) + 1] - first;
      const Device<float> y = device.filled(M * N, 0.0f), dw = device.filled(N * K, 0.5f);
      Gemm one{.y = y,
               .x = left + first * K,
               .w = {weights + static_cast<uint64_t>(e * stride), N, K},
               .M = rows,
               .ldy = N,
               .ldx = K};
      device->gemm(device.stream(), one);
      const auto part = device.receive(y, rows * N);
      std::copy(part.begin(), part.end(), want.begin() + first * N);
      device->weight_gradient(device.stream(), {.dw = dw,
                                                .dy = right + first * N,
                                                .x = left + first * K,
                                                .T = rows,
                                                .rows = N,
                                                .cols = K,
                                                .ldw = K,
                                                .lddy = N,
                                                .ldx = K});
      const auto gradient = device.receive(dw, N * K);
      want_dw.insert(want_dw.end(), gradient.begin(), gradient.end());
    }
    std::vector<int32_t> identity;
    for (int32_t i = 0; i < M; ++i) identity.push_back(i);
    for (const bool is_gathered : {false, true}) {
      const Device<int32_t> rows = is_gathered ? device.send(identity) : Device<int32_t>{};
      GroupedGemm grouped{
          .w_stride_bytes = stride, .num_groups = kGroups, .offsets = device.send(offsets)};
      grouped.gemm = {.y = device.filled(M * N, 0.0f),
                      .x = left,
                      .w = {weights, N, K},
                      .M = M,
                      .ldy = N,
                      .ldx = K,
                      .x_rows = rows};
      device->grouped_gemm(device.stream(), grouped);
      require_same(device.receive(grouped.gemm.y, M * N), want);
      GroupedWeightGradient gradient{
          .num_groups = kGroups, .dw_stride = N * K, .offsets = grouped.offsets};
      gradient.gradient = {.dw = device.filled(kGroups * N * K, 0.5f),
                           .dy = right,
                           .x = left,
                           .rows = N,
                           .cols = K,
                           .ldw = K,
                           .lddy = N,
                           .ldx = K,
                           .dy_rows = rows,
                           .x_rows = rows};
      device->grouped_weight_gradient(device.stream(), gradient);
      require_same(device.receive(gradient.gradient.dw, kGroups * N * K), want_dw);

      // Of a group without rows too.
      gradient.gradient.dw = device.filled(kGroups * N * K, 0.0f);
      device->grouped_weight_gradient(device.stream(), gradient);
      const auto from_zeros = device.receive(gradient.gradient.dw, kGroups * N * K);
      gradient.gradient.dw = device.filled(kGroups * N * K, std::nanf(""));
      gradient.gradient.overwrites = true;
      device->grouped_weight_gradient(device.stream(), gradient);
      require_same(device.receive(gradient.gradient.dw, kGroups * N * K), from_zeros);
    }
  }
}

TEST_CASE("product: a transposed source packs the same weight, rounded to nearest even") {
  constexpr int64_t kRows = 19, kCols = 37;
  auto w = random_values(kRows * kCols, 3);
  w[0] = 1.00390625f;  // Half way between two bf16 values: to the even one.
  w[1] = 1.01171875f;
  std::vector<float> transposed(w.size()), want;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < kCols; ++c) {
      transposed[static_cast<size_t>(c * kRows + r)] = w[static_cast<size_t>(r * kCols + c)];
    }
  }
  for (int64_t c = 0; c < kCols; ++c) {
    for (int64_t r = 0; r < kRows; ++r)
      want.push_back(rounded(w[static_cast<size_t>(r * kCols + c)]));
  }
  CHECK(want[0] == 1.0f);
  CHECK(want[kRows] == 1.015625f);
  std::vector<float> unit(static_cast<size_t>(kCols * kCols));
  for (int64_t i = 0; i < kCols; ++i) unit[static_cast<size_t>(i * kCols + i)] = 1;
  for (const Backend* backend : cpu_backends()) {
    for (const bool is_transposed : {false, true}) {
      OnDevice device(*backend);
      Gemm args{.y = device.filled(kCols * kRows, 0.0f),
                .x = device.send_stored(unit),
                .w = device.pack(is_transposed ? transposed : w, kRows, kCols, is_transposed),
                .M = kCols,
                .ldy = kRows,
                .ldx = kCols};
      device->gemm(device.stream(), args);
      require_same(device.receive(args.y, kCols * kRows), want);
    }
  }
}

TEST_CASE("product: float mode gives the same bits with every instruction set") {
  for (int64_t K : {1, 33, 100}) {
    for (int64_t N : {1, 17, 48}) {
      const int64_t M = 7;
      std::vector<std::vector<float>> results;
      for (const Backend* backend : cpu_backends()) {
        OnDevice device(*backend, Precision::kFp32);
        const auto x = random_values(M * K, 1), w = random_values(N * K, 2);
        Gemm args{.y = device.filled(M * N, 0.0f),
                  .x = device.send_stored(x),
                  .w = device.pack(w, N, K),
                  .M = M,
                  .ldy = N,
                  .ldx = K};
        device->gemm(device.stream(), args);
        results.push_back(device.receive(args.y, M * N));
        for (int64_t i = 0; i < M * N; ++i) {
          double exact = 0;
          for (int64_t k = 0; k < K; ++k) {
            exact += static_cast<double>(x[static_cast<size_t>(i / N * K + k)]) *
                     w[static_cast<size_t>(i % N * K + k)];
          }
          REQUIRE(std::fabs(exact - results.back()[static_cast<size_t>(i)]) < 1e-5);
        }
        require_same(results.back(), results.front());
      }
    }
  }
}

TEST_CASE("product: the caller's floating-point mode is the same after an operation") {
  const unsigned saved = _mm_getcsr();
  const unsigned unusual = 0x1f80 | 0x6000;  // Rounds towards zero, subnormals kept.
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const std::vector<float> x = {1.0f, 0.3333333f};
    Gemm args{.y = device.filled(1, 0.0f),
              .x = device.send_stored(x),
              .w = device.pack(x, 1, 2),
              .M = 1,
              .ldy = 1,
              .ldx = 2};
    device->gemm(device.stream(), args);
    const auto want = device.receive(args.y, 1);
    _mm_setcsr(unusual);
    device->gemm(device.stream(), args);
    const unsigned after = _mm_getcsr();
    device->add(device.stream(), args.y, args.y, 1);
    const unsigned after_add = _mm_getcsr();
    _mm_setcsr(saved);
    CHECK(after == unusual);
    CHECK(after_add == unusual);
    device->gemm(device.stream(), args);
    require_same(device.receive(args.y, 1), want);
  }
}

}  // namespace
}  // namespace troupe::kernels

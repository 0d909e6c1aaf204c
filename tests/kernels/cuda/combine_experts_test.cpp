// The way of experts' rows back to tokens on CUDA kernels against the reference, bit for bit.
#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::TensorCore;

struct Case {
  int64_t N, E, K, D, F;
  bool has_second, has_weight;
};

std::vector<uint16_t> random_bf16(int64_t size, uint64_t seed) {
  Random random(seed);
  std::vector<uint16_t> values(static_cast<size_t>(size));
  for (uint16_t& v : values) v = random.bf16(-9, 2);
  return values;
}

// Weights of all experts one after another, packed.
std::vector<uint16_t> packed(const std::vector<uint16_t>& w, const Case& c) {
  const int64_t width = kernels::padded(c.F);
  std::vector<uint16_t> all(static_cast<size_t>(c.E * c.D * width));
  for (int64_t r = 0; r < c.E * c.D; ++r) {
    std::copy_n(w.begin() + r * c.F, c.F, all.begin() + r * width);
  }
  return all;
}

void check(const Case& c, int64_t columns, uint64_t schedules) {
  CAPTURE(c.N);
  CAPTURE(c.D);
  CAPTURE(columns);
  const int64_t M = c.N * c.K;
  Random random(static_cast<uint64_t>(c.N + c.D));
  std::vector<int32_t> expert;
  for (int64_t n = 0; n < c.N; ++n) {
    const int first = random.in(0, static_cast<int>(c.E - c.K));
    for (int k = 0; k < c.K; ++k) expert.push_back(first + k);
  }
  const cuda_reference::Routed routed = cuda_reference::route(expert, c.E, c.K);
  const std::vector<uint16_t> x = random_bf16(M * c.F, 1), x2 = random_bf16(M * c.F, 2);
  const std::vector<uint16_t> w = random_bf16(c.E * c.D * c.F, 3);
  const std::vector<uint16_t> w2 = random_bf16(c.E * c.D * c.F, 4);
  const std::vector<float> before = random.numbers(c.N * c.D);
  const std::vector<float> weight = c.has_weight ? random.numbers(M) : std::vector<float>{};

  const auto rows_of = [&](TensorCore core, const std::vector<uint16_t>& from,
                           const std::vector<uint16_t>& by) {
    std::vector<float> rows;
    for (size_t e = 0; e < static_cast<size_t>(c.E); ++e) {
      const int64_t first = routed.offsets[e], end = routed.offsets[e + 1];
      const int64_t at = static_cast<int64_t>(e) * c.D * c.F;
      const auto part = cuda_reference::product(
          core, std::vector<uint16_t>(from.begin() + first * c.F, from.begin() + end * c.F),
          std::vector<uint16_t>(by.begin() + at, by.begin() + at + c.D * c.F), end - first, c.D,
          c.F);
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  };
  const auto expect = [&](TensorCore core) {
    std::vector<float> rows = rows_of(core, x, w), out = before;
    if (c.has_second) {
      const std::vector<float> second = rows_of(core, x2, w2);
      for (size_t i = 0; i < rows.size(); ++i) rows[i] += second[i];
    }
    cuda_reference::combine(out, rows, weight, routed.slot_row, c.D, c.K);
    return out;
  };
  const std::vector<float> sm80 = expect(TensorCore::kSm80), sm90 = expect(TensorCore::kSm90);
  on_every_engine(schedules, [&] {
    const simt::Array<float> out(before), device_weight(weight);
    const simt::Array<float> scratch(static_cast<size_t>(M * columns));
    const simt::Array<uint16_t> device_x(x), device_x2(x2);
    const simt::Array<uint16_t> device_w(packed(w, c)), device_w2(packed(w2, c));
    const simt::Array<int32_t> slot_row(routed.slot_row), offsets(routed.offsets);
    kernels::CombineExperts args{.out = out.device(),
                                 .x = device_x.stored(),
                                 .w = {device_w.stored().address, c.D, c.F},
                                 .w_stride_bytes = c.D * kernels::padded(c.F) * 2,
                                 .slot_row = slot_row.device(),
                                 .offsets = offsets.device(),
                                 .N = c.N,
                                 .K = c.K,
                                 .D = c.D,
                                 .E = c.E,
                                 .F = c.F};
    if (c.has_second) {
      args.x2 = device_x2.stored();
      args.w2 = {device_w2.stored().address, c.D, c.F};
    }
    if (c.has_weight) args.weight = device_weight.device();
    kernels::cuda::combine_experts(nullptr, args,
                                   {.floats = scratch.device(), .size = M * columns});
    REQUIRE(has_same_bits(out.values(),
                          simt::settings().tensor_core == TensorCore::kSm80 ? sm80 : sm90));
  });
}

TEST_CASE("cuda combine_experts: the reference's bits from every engine, however much memory") {
  const Case cases[] = {
      {0, 4, 2, 16, 16, false, true}, {1, 1, 1, 1, 1, false, true},
      {5, 4, 2, 63, 40, true, false}, {17, 6, 3, 65, 16, false, true},
      {9, 3, 3, 130, 32, true, true}, {3, 40, 2, 64, 17, false, false},
      {2, 4, 2, 300, 8, false, true},
  };
  for (const Case& c : cases) {
    check(c, 64, 4);
    check(c, 100, 1);  // As 64.
    check(c, 512, 2);
  }
}

TEST_CASE("cuda combine_experts: a token's bits depend on no other token") {
  // The same experts and rows for token 0, with others and alone.
  const Case many{
      .N = 40, .E = 4, .K = 2, .D = 20, .F = 24, .has_second = false, .has_weight = true};
  const std::vector<uint16_t> w = random_bf16(many.E * many.D * many.F, 3);
  const std::vector<uint16_t> own = random_bf16(2 * many.F, 5), other = random_bf16(2 * many.F, 6);
  const auto first_of = [&](int64_t N) {
    std::vector<int32_t> expert;
    for (int64_t n = 0; n < N; ++n) expert.insert(expert.end(), {1, 3});
    const cuda_reference::Routed routed = cuda_reference::route(expert, many.E, many.K);
    std::vector<uint16_t> x;
    for (size_t row = 0; row < routed.row_token.size(); ++row) {
      const auto& from = routed.row_token[row] == 0 ? own : other;
      const auto begin = from.begin() + (row < static_cast<size_t>(N) ? 0 : many.F);
      x.insert(x.end(), begin, begin + many.F);
    }
    const simt::Array<float> out(std::vector<float>(static_cast<size_t>(N * many.D), 0.5f));
    const simt::Array<float> weight(std::vector<float>(static_cast<size_t>(N * 2), 0.3f));
    const simt::Array<float> scratch(static_cast<size_t>(N * 2 * 64));
    const simt::Array<uint16_t> device_x(x), device_w(packed(w, many));
    const simt::Array<int32_t> slot_row(routed.slot_row), offsets(routed.offsets);
    kernels::cuda::combine_experts(nullptr,
                                   {.out = out.device(),
                                    .x = device_x.stored(),
                                    .w = {device_w.stored().address, many.D, many.F},
                                    .w_stride_bytes = many.D * kernels::padded(many.F) * 2,
                                    .weight = weight.device(),
                                    .slot_row = slot_row.device(),
                                    .offsets = offsets.device(),
                                    .N = N,
                                    .K = many.K,
                                    .D = many.D,
                                    .E = many.E,
                                    .F = many.F},
                                   {.floats = scratch.device(), .size = N * 2 * 64});
    const std::vector<float> values = out.values();
    return std::vector<float>(values.begin(), values.begin() + many.D);
  };
  on_every_engine(4, [&] {
    const std::vector<float> alone = first_of(1);
    for (const int64_t N : {2, 17, 40}) REQUIRE(has_same_bits(first_of(N), alone));
  });
}

}  // namespace
}  // namespace troupe::tests

// Gradients of weights on emulated tensor cores against the reference in plain C++, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::TensorCore;

// Exponents far apart, so that what is cut off shows.
std::vector<uint16_t> random_bf16(int64_t size, uint64_t seed) {
  Random random(seed);
  std::vector<uint16_t> values(static_cast<size_t>(size));
  for (uint16_t& v : values) v = random.bf16(-12, 3);
  return values;
}

struct Case {
  int64_t T, rows, cols;
  uint64_t schedules;
};

// before + sums, or sums alone.
std::vector<float> added(std::vector<float> before, const std::vector<float>& sums,
                         bool overwrites) {
  for (size_t i = 0; i < sums.size(); ++i) before[i] = (overwrites ? 0.0f : before[i]) + sums[i];
  return before;
}

void check(const Case& c, int64_t gap, bool overwrites) {
  const auto& [T, rows, cols, schedules] = c;
  CAPTURE(T);
  CAPTURE(rows);
  CAPTURE(cols);
  CAPTURE(gap);
  const std::vector<uint16_t> dy = random_bf16(T * rows, 1), x = random_bf16(T * cols, 2);
  Random random(3);
  const std::vector<float> before = random.numbers(rows * cols);
  const auto expect = [&, rows = rows, cols = cols, T = T](TensorCore core) {
    return T == 0 && !overwrites
               ? before
               : added(before, cuda_reference::weight_gradient(core, dy, x, T, rows, cols),
                       overwrites);
  };
  const std::vector<float> sm80 = expect(TensorCore::kSm80), sm90 = expect(TensorCore::kSm90);
  on_every_engine(schedules, [&, rows = rows, cols = cols, T = T] {
    const int64_t lddy = (rows + 7) / 8 * 8 + gap, ldx = (cols + 7) / 8 * 8 + gap;
    const Rows<uint16_t> device_dy(dy, T, rows, lddy), device_x(x, T, cols, ldx);
    const Rows<float> dw(before, rows, cols, cols + gap);
    kernels::cuda::weight_gradient(nullptr, {.dw = dw.device(),
                                             .dy = device_dy.stored(),
                                             .x = device_x.stored(),
                                             .T = T,
                                             .rows = rows,
                                             .cols = cols,
                                             .ldw = cols + gap,
                                             .lddy = lddy,
                                             .ldx = ldx,
                                             .overwrites = overwrites});
    REQUIRE(has_same_bits(dw.values(),
                          simt::settings().tensor_core == TensorCore::kSm80 ? sm80 : sm90));
  });
}

TEST_CASE("cuda weight gradient: the reference's bits from every engine and schedule") {
  const Case cases[] = {
      {0, 3, 5, 1},    {1, 1, 1, 4},    {2, 8, 8, 32},    {31, 15, 33, 2}, {32, 64, 64, 2},
      {33, 65, 63, 8}, {65, 9, 130, 2}, {100, 70, 24, 2}, {257, 4, 32, 2},
  };
  for (const Case& c : cases) {
    check(c, 0, false);
    check(c, 0, true);
    check({c.T, c.rows, c.cols, 1}, 1, false);  // Rows that do not lie on sixteen bytes.
  }
}

TEST_CASE("cuda weight gradient: a sum of -0 that overwrites is 0, as if it was added to zeros") {
  on_every_engine(1, [] {
    // -2^-150 is too small for a float.
    const simt::Array<uint16_t> dy(std::vector<uint16_t>(8, 0x9A00)),
        x(std::vector<uint16_t>(8, 0x1A00));
    const simt::Array<float> dw(std::vector<float>(1, 7.0f));
    kernels::cuda::weight_gradient(nullptr, {.dw = dw.device(),
                                             .dy = dy.stored(),
                                             .x = x.stored(),
                                             .T = 1,
                                             .rows = 1,
                                             .cols = 1,
                                             .ldw = 1,
                                             .lddy = 8,
                                             .ldx = 8,
                                             .overwrites = true});
    REQUIRE(has_same_bits(dw.values(), std::vector<float>{0.0f}));
  });
}

TEST_CASE("cuda grouped weight gradient: each weight by the rows of its group, on every engine") {
  const std::vector<int32_t> offsets = {0, 3, 3, 36, 37, 37};
  constexpr int64_t E = 5, T = 37, rows = 24, cols = 40;
  const std::vector<uint16_t> dy = random_bf16(T * rows, 4), x = random_bf16(T * cols, 5);
  Random random(6);
  const std::vector<float> before = random.numbers(E * rows * cols);
  // Row t is kept as row T - 1 - t, of either operand.
  std::vector<int32_t> reversed;
  for (int32_t t = T - 1; t >= 0; --t) reversed.push_back(t);
  const auto turned = [](const std::vector<uint16_t>& from, int64_t width) {
    std::vector<uint16_t> to;
    for (int64_t t = T - 1; t >= 0; --t) {
      to.insert(to.end(), from.begin() + t * width, from.begin() + (t + 1) * width);
    }
    return to;
  };
  const auto expect = [&](TensorCore core, bool overwrites) {
    std::vector<float> all = before;
    for (size_t e = 0; e < E; ++e) {
      const int64_t first = offsets[e], count = offsets[e + 1] - first;
      if (count == 0 && !overwrites) continue;
      const std::vector<uint16_t> group_dy(dy.begin() + first * rows,
                                           dy.begin() + (first + count) * rows);
      const std::vector<uint16_t> group_x(x.begin() + first * cols,
                                          x.begin() + (first + count) * cols);
      const auto sums = cuda_reference::weight_gradient(core, group_dy, group_x, count, rows, cols);
      for (size_t i = 0; i < sums.size(); ++i) {
        float& to = all[e * rows * cols + i];
        to = (overwrites ? 0.0f : to) + sums[i];
      }
    }
    return all;
  };
  for (const bool overwrites : {false, true}) {
    for (const int which : {0, 1, 2}) {  // Which operand is named by rows.
      CAPTURE(overwrites);
      CAPTURE(which);
      on_every_engine(which == 0 ? 32 : 4, [&] {
        const simt::Array<uint16_t> device_dy(which == 1 ? turned(dy, rows) : dy);
        const simt::Array<uint16_t> device_x(which == 2 ? turned(x, cols) : x);
        const simt::Array<float> dw(before);
        const simt::Array<int32_t> device_offsets(offsets), row_names(reversed);
        kernels::WeightGradient gradient{.dw = dw.device(),
                                         .dy = device_dy.stored(),
                                         .x = device_x.stored(),
                                         .T = T,
                                         .rows = rows,
                                         .cols = cols,
                                         .ldw = cols,
                                         .lddy = rows,
                                         .ldx = cols,
                                         .overwrites = overwrites};
        if (which == 1) gradient.dy_rows = row_names.device();
        if (which == 2) gradient.x_rows = row_names.device();
        kernels::cuda::grouped_weight_gradient(nullptr, {.gradient = gradient,
                                                         .num_groups = E,
                                                         .dw_stride = rows * cols,
                                                         .offsets = device_offsets.device()});
        REQUIRE(has_same_bits(dw.values(), expect(simt::settings().tensor_core, overwrites)));
      });
    }
  }
}

}  // namespace
}  // namespace troupe::tests

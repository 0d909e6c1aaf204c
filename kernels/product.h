// Products with a weight matrix, and the weight's gradient.
//
//   forward    y[m, n]   = sum over k of x[m, k] W[n, k]            Gemm, GroupedGemm
//   backward   dx[m, k]  = sum over n of dy[m, n] W[n, k]           the same, with W packed
//   transposed
//              dW[n, k] += sum over t of dy[t, n] x[t, k]           WeightGradient
//
// Arithmetic `cpu-1` (bf16 operands, float results). The sum over the inner axis goes in blocks of
// kPadK = 32 from its first element on; per block
//   even = fma(x[0], w[0], 0), fma(x[2], w[2], even), ...  and  odd  likewise over 1, 3, ... 31,
//   c = c + (even + odd),  c = 0 before the first block,
// each step rounded to nearest even, subnormals read and left as zero, an incomplete block filled
// up with zeros. This is what TDPBF16PS does with a tile pair, and what any fused multiply-add can
// do too (a product of two bf16 values is exact in float), so tiles, vectors and plain C++ agree
// bit for bit, and a row's bits depend on nothing but that row and W. In float mode (kFp32, for
// gradient checks) it is one chain over the whole axis of a rounded product and a rounded addition
// each. Rounding points: operands when they are stored or packed; the result once, when y_stored is
// written; `accumulates` adds the finished product to y.
// Source: Intel's instruction set extensions reference (TDPBF16PS); the layout of pairs is its.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

// y (M, w.rows) = x (M, w.cols) W^T, or base + x W^T: the whole product is formed first, then
// added. Exactly one of y and y_stored is written. With num_parts > 1 there are so many weights of
// one shape, each for its own columns of x and y.
struct Gemm {
  Device<float> y{};
  Stored y_stored{};
  Stored x{};
  Packed w{};
  int64_t M = 0;
  int64_t ldy = 0;
  int64_t ldx = 0;
  Device<int32_t> x_rows{};  // (M)  Row of x for each row of y; absent: the same row.
  bool accumulates = false;
  int64_t num_parts = 1;
  int64_t x_part = 0;        // From a part's first column of x to the next part's.
  int64_t y_part = 0;        // Likewise of y.
  int64_t w_part_bytes = 0;  // From a part's weight to the next one's.
};

// The same for E weights of one shape, `w` being the first and w_stride_bytes apart: rows
// [offsets[e], offsets[e+1]) of y use weight e. M is offsets[E].
struct GroupedGemm {
  Gemm gemm{};
  int64_t w_stride_bytes = 0;
  int64_t num_groups = 0;
  Device<int32_t> offsets{};  // (E+1)
};

// dw (rows, cols) += sum over t of dy[t, :]^T x[t, :], one chain over t in blocks of kPadK counted
// from the first row, then added into dw. With dy_rows / x_rows, row t is taken from there. With
// `overwrites` the sum is added to zeros, whatever dw held: the same bits as dw filled with zeros
// before, also where the sum is -0.
struct WeightGradient {
  Device<float> dw{};  // (rows, cols), ld = ldw
  Stored dy{};
  Stored x{};
  int64_t T = 0;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ldw = 0;
  int64_t lddy = 0;
  int64_t ldx = 0;
  Device<int32_t> dy_rows{};  // (T)
  Device<int32_t> x_rows{};   // (T)
  bool overwrites = false;
};

// Weight e gets the rows [offsets[e], offsets[e+1]); weights are dw_stride elements apart.
struct GroupedWeightGradient {
  WeightGradient gradient{};
  int64_t num_groups = 0;
  int64_t dw_stride = 0;
  Device<int32_t> offsets{};  // (E+1)
};

}  // namespace troupe::kernels

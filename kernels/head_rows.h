// Rows that attention reads, from a projection to heads: y = rotate(norm(x)), padded with zeros.
//
//   norm     x * rstd * weight over the head's d elements (Qwen3's q_norm and k_norm), or x
//   rotate   pairs (i, i + d/2) turned by the angle of pair i (RoFormer in the layout of GPT-NeoX),
//              (a, b) -> (a cos - b sin, b cos + a sin),  or nothing
//
// every product rounded before it is added; rounded once, as stored. Backward turns back, then
// RMSNorm's; dx is rounded as stored, dweight collects rows (n H + h) mod 16 as RmsNorm's does.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct HeadRows {
  Stored y{};                  // out: row n (or slot[n]), head h at ldy * row + stride * h
  Device<float> rstd{};        // (N, H)  out, with a norm
  Device<float> x{};           // (N, H, d)
  Device<float> weight{};      // (d); absent: no norm
  Device<int32_t> position{};  // (N)
  Device<int32_t> slot{};      // (N); absent: row n
  Device<float> table{};       // (positions, d)  cos and sin per pair; absent: no rotation
  int64_t N = 0;
  int64_t H = 0;
  int64_t d = 0;
  int64_t ldy = 0;
  int64_t stride = 0;  // padded(d) are written.
  float epsilon = 0;
};
struct HeadRowsBackward {
  Stored dx{};              // (N, H, d)  out
  Device<float> dweight{};  // (d)  accumulated
  Device<float> dy{};       // Row n, head h at lddy * n + stride * h
  Device<float> x{};        // (N, H, d)
  Device<float> rstd{};     // (N, H)
  Device<float> weight{};
  Device<int32_t> position{};
  Device<float> table{};
  int64_t N = 0;
  int64_t H = 0;
  int64_t d = 0;
  int64_t lddy = 0;
  int64_t stride = 0;
};

// y (N, n) += bias (n), and dbias (n) += the sum of dy over rows: sixteen partials of rows mod 16,
// folded 8-4-2-1.
struct AddBias {
  Device<float> y{};
  Device<float> bias{};
  int64_t N = 0;
  int64_t n = 0;
};
struct BiasGradient {
  Device<float> dbias{};  // (n)  accumulated
  Stored dy{};            // (N, n)
  int64_t N = 0;
  int64_t n = 0;
};

}  // namespace troupe::kernels

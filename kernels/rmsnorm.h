// Root mean square normalisation over D (Zhang and Sennrich 2019).
//
//   rstd[n] = 1 / sqrt(mean over d of x[n, d]^2 + epsilon)
//   y[n, d] = (x[n, d] rstd[n]) weight[d]                                          rounded once, as
//   stored dx[n, d] (+)= rstd (dy[n, d] weight[d] - x[n, d] rstd^2 mean over d of (dy weight x))
//   dweight[d] += sum over n of dy[n, d] (x[n, d] rstd[n])
//
// rstd is kept rather than computed again: it costs N floats and spares a pass over x. Sums over d
// are sixteen partials (d mod 16) folded 8-4-2-1; dweight is sixteen partial rows (n mod 16),
// folded likewise and then added, so its bits depend on which tokens are in the call and on their
// order.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct RmsNorm {
  Stored y{};                // (N, D) at ldy  out
  Device<float> rstd{};      // (N)  out, kept for backward
  Device<float> x{};         // (N, D) at ldx
  Device<float> weight{};    // (D)
  Device<int32_t> x_rows{};  // (N)  Row of x for each row of y; absent: the same row.
  int64_t N = 0;
  int64_t D = 0;
  int64_t ldx = 0;
  int64_t ldy = 0;
  float epsilon = 0;
};

struct RmsNormBackward {
  Device<float> dx{};        // (N, D) at ldx  accumulated (overwritten where `overwrites`)
  Device<float> dweight{};   // (D)  accumulated
  Device<float> dy{};        // (N, D) at lddy
  Device<float> x{};         // (N, D) at ldx
  Device<float> rstd{};      // (N)
  Device<float> weight{};    // (D)
  Device<int32_t> x_rows{};  // (N)  Row of x and dx for each row of dy.
  int64_t N = 0;
  int64_t D = 0;
  int64_t ldx = 0;
  int64_t lddy = 0;
  bool overwrites = false;
};

}  // namespace troupe::kernels

// The gated unit of a feed-forward layer (Shazeer 2020, "GLU variants improve transformer").
//
//   a[n, f] = silu(gate[n, f]) up[n, f],  silu(g) = g sigmoid(g)
//   d = w da:   dup = d silu(g)   dgate = (d up) silu'(g),  silu'(g) = sig (1 + g (1 - sig))
//   dw = sum over f of da a       (sixteen partials by f mod 16)
//
// w is the routing weight of the expert's row (out += w (a Wd)): it is applied to the gradient
// here, where a is at hand again, instead of keeping the expert's output. a is computed again from
// gate and up rather than kept. sigmoid is 1 / (1 + exp(-g)), exp to 2 ulp; it saturates to 0
// and 1. Rounding points: all stored outputs, once.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct Swiglu {
  Stored y{};            // (N, F)  out
  Device<float> gate{};  // (N, F) at ld
  Device<float> up{};    // (N, F) at ld
  int64_t N = 0;
  int64_t F = 0;
  int64_t ld = 0;
};
// With the row weights of an expert (weight[row_slot] as laid out by Route through slot_row):
// d(w * (a Wd)) for rows of experts; absent weight means 1.
struct SwigluBackward {
  Stored dgate{};              // (N, F)  out
  Stored dup{};                // (N, F)  out
  Stored weighted{};           // (N, F)  out: w * a, the operand of dWd; absent: not written
  Device<float> dweight{};     // (tokens, K)  out: sum over f of da * a; absent without weights
  Device<float> da{};          // (N, F)  gradient of a for weight 1
  Device<float> gate{};        // (N, F) at ld
  Device<float> up{};          // (N, F) at ld
  Device<float> weight{};      // (tokens, K)
  Device<int32_t> slot_row{};  // (tokens, K): row of each (token, k)
  int64_t N = 0;
  int64_t F = 0;
  int64_t ld = 0;
  int64_t num_slots = 0;  // tokens * K
};

}  // namespace troupe::kernels

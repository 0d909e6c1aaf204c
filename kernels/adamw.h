// A step of AdamW (Loshchilov and Hutter 2019, algorithm 2): decay beside the gradient, not in
// it.
//
//   g = gradient gradient_scale
//   m = beta1 m + (1 - beta1) g            v = beta2 v + (1 - beta2) g^2
//   weight -= learning_rate weight_decay weight
//   weight -= learning_rate (m / correction1) / (sqrt(v / correction2) + epsilon)
//
// All in float, each operation rounded once, square root and division IEEE; weights are the float
// masters. Subnormal moments become zero.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

// Elements [0, n) of one tensor.
struct AdamW {
  Device<float> weight{};    // (n)  in place
  Device<float> m{};         // (n)  in place
  Device<float> v{};         // (n)  in place
  Device<float> gradient{};  // (n)
  int64_t n = 0;
  float learning_rate = 0;
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  float weight_decay = 0;
  float gradient_scale = 1;  // Of clipping.
  float correction1 = 1;     // 1 - beta1^t
  float correction2 = 1;     // 1 - beta2^t
};

}  // namespace troupe::kernels

// Pairs of numbers turned by the angle of their position (RoFormer, Su et al. 2021).
#pragma once

#include "kernels/cuda/device.h"

namespace troupe::kernels::cuda {

struct Pair {
  float a, b;
};

// Turned by the angle whose cosine and sine are at `angle`. Every product is rounded.
TROUPE_DEVICE Pair rotated(Pair x, const float* angle) {
  const float cosine = angle[0], sine = angle[1];
  return {x.a * cosine - x.b * sine, x.b * cosine + x.a * sine};
}
TROUPE_DEVICE Pair rotated_back(Pair x, const float* angle) {
  const float cosine = angle[0], sine = angle[1];
  return {x.a * cosine + x.b * sine, x.b * cosine - x.a * sine};
}

}  // namespace troupe::kernels::cuda

// Rows of a table by token.
//
//   x[n] = table[token[n]]        dtable[token[n]] += dx[n], n rising
//
// Repeated tokens are added one after another in the order of the batch: no atomics, hence one
// result.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct Embedding {
  Device<float> x{};        // (N, D)  out
  Device<float> table{};    // (V, D)
  Device<int32_t> token{};  // (N)
  int64_t N = 0;
  int64_t D = 0;
};
struct EmbeddingBackward {
  Device<float> dtable{};   // (V, D)  accumulated, in token order
  Device<float> dx{};       // (N, D)
  Device<int32_t> token{};  // (N)
  int64_t N = 0;
  int64_t D = 0;
};

}  // namespace troupe::kernels

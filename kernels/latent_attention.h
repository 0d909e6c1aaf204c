// Multi-head latent attention (DeepSeek-V2, 2024, section 2.1) in its absorbed form: a token leaves
// one row in the cache, shared by all heads, and keys are never expanded.
//
//   latent row  c[j] = (RMSNorm(kv[j, :R]), rotate(kv[j, R:], j), zeros)        (W)
//   query row   q[t, h] = (nope[t, h] Wk[h], rotate(q_rope[t, h], t), zeros)    (W)
//
// The whole row is the key of all heads and its latent part their value (attention.h). The products
// with Wk (before, into the query row) and Wv (after) are Gemm's; MlaQuery fills the rest of a
// query row. rotate turns adjacent pairs (RoFormer, Su et al. 2021): with cos and sin of pair i at
// table[position, 2 i] and [.., 2 i + 1],
//   (a, b) -> (a cos - b sin, a sin + b cos),  backward (a, b) -> (a cos + b sin, b cos - a sin),
// every product rounded before it is added. The table holds the model's angles, so that one source
// of cosines serves all devices.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct MlaQuery {
  Stored nope{};               // (N, H, nope)  out
  Stored row{};                // (N, H, W)  out: [R, R + P) rotated, rest up to W zero
  Device<float> q{};           // (N, H, nope + P)
  Device<int32_t> position{};  // (N)
  Device<float> table{};       // (positions, P)  cos and sin per pair, see rope.h
  int64_t N = 0;
  int64_t H = 0;
  int64_t nope_dim = 0;
  int64_t R = 0;
  int64_t P = 0;
};
struct MlaQueryBackward {
  Stored dq{};            // (N, H * (nope + P))  out
  Device<float> dnope{};  // (N, H, nope)
  Device<float> drow{};   // (N, H, W)
  Device<int32_t> position{};
  Device<float> table{};
  int64_t N = 0;
  int64_t H = 0;
  int64_t nope_dim = 0;
  int64_t R = 0;
  int64_t P = 0;
};

// The latent row of a token: the normalised latent, the rotated shared key, zeros up to W; written
// to the cache row `slot`.
struct MlaLatent {
  Stored cache{};              // (rows, W)  out
  Device<float> rstd{};        // (N)  out
  Device<float> kv{};          // (N, R + P)
  Device<float> weight{};      // (R)
  Device<int32_t> position{};  // (N)
  Device<int32_t> slot{};      // (N)
  Device<float> table{};
  int64_t N = 0;
  int64_t R = 0;
  int64_t P = 0;
  float epsilon = 0;
};
struct MlaLatentBackward {
  Stored dkv{};             // (N, R + P)  out
  Device<float> dweight{};  // (R)  accumulated
  Device<float> dlatent{};  // (N, W)
  Device<float> kv{};       // (N, R + P)
  Device<float> rstd{};     // (N)
  Device<float> weight{};   // (R)
  Device<int32_t> position{};
  Device<float> table{};
  int64_t N = 0;
  int64_t R = 0;
  int64_t P = 0;
};

}  // namespace troupe::kernels

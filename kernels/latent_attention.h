// Multi-head latent attention (DeepSeek-V2, 2024, section 2.1) in its absorbed form: a token leaves
// one row in the cache, shared by all heads, and keys are never expanded.
//
//   latent row  c[j] = (RMSNorm(kv[j, :R]), rotate(kv[j, R:], j), zeros)        (W)
//   query row   q[t, h] = (nope[t, h] Wk[h], rotate(q_rope[t, h], t), zeros)    (W)
//   score       s[t, h, j] = scale (q[t, h] . c[j]),  j <= t
//   output      o[t, h] = sum over j of p[t, h, j] c[j, :R],  p = softmax over j of s
//
// The products with Wk (before, into the query row) and Wv (after) are Gemm's; MlaQuery fills the
// rest of a query row. rotate turns adjacent pairs (RoFormer, Su et al. 2021): with cos and sin of
// pair i at table[position, 2 i] and [.., 2 i + 1],
//   (a, b) -> (a cos - b sin, a sin + b cos),  backward (a, b) -> (a cos + b sin, b cos - a sin),
// every product rounded before it is added. The table holds the model's angles, so that one source
// of cosines serves all devices.
//
// Softmax: m = max over j of s, e = exp(s - m), sum = sum of e (sixteen partials by j mod 16,
// folded 8-4-2-1), o = (sum over j of round(e) c[j]) / sum. Two passes with the exact maximum, no
// running one: keys come in blocks of kBlockTokens counted from position 0, what lies behind the
// query is +0 in the last block, so the bits of a query depend neither on how many queries run with
// it (prefill, decoding and training agree) nor on where the cache's blocks lie. Rounding points:
// query and cache rows and e as operands, o as stored. Nothing behind a query may be infinite or
// NaN in the latent part: it meets a zero.
//
// Backward, with do = dout and p from the kept max and sum:
//   dp[j] = do . c[j, :R]        ds[j] = p[j] (dp[j] - sum over j of p dp) scale
//   dq = sum over j of round(ds[j]) c[j]
//   dc[j] = sum over t, h of round(ds) q[t, h]  and, in [:R], + sum of round(p) do
// dc collects tiles of 16 tokens in order, each tile a whole product of all heads.
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

// Packed sequences over a paged cache. Queries of sequence s are rows [query_offset[s],
// query_offset[s+1]) and are the last of its context[s] tokens; the latent of its token j lies in
// cache row block_table[s * blocks_max + j / kBlockTokens] + j % kBlockTokens.
struct SequenceBatch {
  Device<int32_t> query_offset{};  // (S+1)
  Device<int32_t> context{};       // (S)
  Device<int32_t> block_table{};   // (S, blocks_max)
  int64_t S = 0;
  int64_t blocks_max = 0;
  int64_t context_max = 0;  // Bound on context[s], for the workspace.
};

struct Attention {
  Stored out{};         // (N, H, R)  out: attended latent
  Device<float> max{};  // (N, H)  out, kept for backward; absent in generation
  Device<float> sum{};  // (N, H)  out, likewise
  Stored query{};       // (N, H, W)
  Stored cache{};       // (rows, W)
  SequenceBatch sequences{};
  int64_t H = 0;
  int64_t R = 0;
  int64_t W = 0;
  float scale = 0;
};
struct AttentionBackward {
  Device<float> dquery{};   // (N, H, W)  out
  Device<float> dlatent{};  // (N, W)  out; row n is token n of the batch, whose keys are all there
  Stored dout{};            // (N, H, R)
  Stored query{};
  Stored cache{};
  Device<float> max{};
  Device<float> sum{};
  SequenceBatch sequences{};  // Every sequence whole: as many queries as context.
  int64_t N = 0;
  int64_t H = 0;
  int64_t R = 0;
  int64_t W = 0;
  float scale = 0;
};

}  // namespace troupe::kernels

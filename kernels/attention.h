// Causal attention over a paged cache, whatever a row of the cache holds: latents that are keys and
// values of all heads at once (latent_attention.h), or keys and values of groups of heads
// (Ainslie et al.: "GQA", 2023; head_rows.h makes them).
//
//   score   s[t, h, j] = scale (q[t, h] . key[j, g]),  j <= t,  g = h / (H / groups)
//   output  o[t, h] = sum over j of p[t, h, j] value[j, g],  p = softmax over j of s
//
// Softmax: m = max over j of s, e = exp(s - m), sum = sum of e (sixteen partials by j mod 16,
// folded 8-4-2-1), o = (sum over j of round(e) value[j]) / sum. Two passes with the exact maximum,
// no running one: keys come in blocks of kBlockTokens counted from position 0, what lies behind the
// query is +0 in the last block, so the bits of a query depend neither on how many queries run with
// it (prefill, decoding and training agree) nor on where the cache's blocks lie. Rounding points:
// query and cache rows and e as operands, o as stored. Nothing behind a query may be infinite or
// NaN in a value: it meets a zero. That is the CPU's arithmetic; CUDA's joins parts of the keys, as
// kernels/cuda/README.md has it, and holds to the same independence.
//
// Backward, with do = dout and p from the kept max and sum:
//   dp[j] = do . value[j]        ds[j] = p[j] (dp[j] - sum over j of p dp) scale
//   dq = sum over j of round(ds[j]) key[j]
//   dkey[j] = sum over t, h of round(ds) q[t, h]       dvalue[j] = sum of round(p) do
// both collected in tiles of 16 tokens in order, each tile a whole product of a group's heads, the
// key's before the value's.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

// Where keys and values lie in a row of the cache, in elements. They may be the same ones.
struct CacheRow {
  int64_t width = 0;  // Of the whole row.
  int64_t groups = 1;
  int64_t group_stride = 0;  // A group's key begins here, times its number.
  int64_t key_width = 0;     // A multiple of kPadK; also the width of a query row.
  int64_t value_offset = 0;  // From the group's key.
  int64_t value_width = 0;
};

// Packed sequences. Queries of sequence s are rows [query_offset[s], query_offset[s+1]) and are the
// last of its context[s] tokens; its token j lies in cache row
// block_table[s * blocks_max + j / kBlockTokens] + j % kBlockTokens.
struct SequenceBatch {
  Device<int32_t> query_offset{};  // (S+1)
  Device<int32_t> context{};       // (S)
  Device<int32_t> block_table{};   // (S, blocks_max)
  int64_t S = 0;
  int64_t blocks_max = 0;
  int64_t context_max = 0;  // Bound on context[s], for the workspace.
};

struct Attention {
  Stored out{};         // (N, H, value_width)  out
  Device<float> max{};  // (N, H)  out, kept for backward; absent in generation
  Device<float> sum{};  // (N, H)  out, likewise
  Stored query{};       // (N, H, key_width)
  Stored cache{};       // (rows, row.width)
  CacheRow row{};
  SequenceBatch sequences{};
  int64_t H = 0;
  float scale = 0;
};
struct AttentionBackward {
  Device<float> dquery{};  // (N, H, key_width)  out
  Device<float> dcache{};  // (N, row.width)  out; row n is token n of the batch, all keys are there
  Stored dout{};           // (N, H, value_width)
  Stored query{};
  Stored cache{};
  Device<float> max{};
  Device<float> sum{};
  CacheRow row{};
  SequenceBatch sequences{};  // Every sequence whole: as many queries as context.
  int64_t N = 0;
  int64_t H = 0;
  float scale = 0;
};

}  // namespace troupe::kernels

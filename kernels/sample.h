// Draws a token from softmax(logit / temperature), and gives the logprob that TokenLogprob gives
// it.
//
//   p = exp(logit / temperature - lse)
//   top_p < 1: the smallest set of most probable tokens whose sum reaches top_p of the total stays
//   token = the first in id order whose running sum passes u * total
//
// Ties in probability go to the smaller id; at least one token stays. u is Philox's number of the
// key (random.h), so a draw depends on what is drawn and on nothing else; sums are double in id
// order (on CUDA sums of whole numbers, kernels/cuda/README.md). The logprob is that of the whole
// distribution, not of the set that top_p left: it is what the learner compares with. Temperature 0
// takes the largest logit, of equals the smaller id.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct SampleKey {
  uint64_t seed = 0;
  uint64_t round = 0;
  uint32_t stream = 0;  // A StreamId of kernels/random.h.
  uint32_t ordinal = 0;
  uint32_t sample = 0;
  uint32_t position = 0;  // Of the token that is sampled, counted from the prompt's first.
};
struct Sample {
  Device<int32_t> token{};  // (N)  out
  Device<float> logprob{};  // (N)  out: as TokenLogprob gives it
  Device<float> logit{};    // (N, V)
  Device<SampleKey> key{};  // (N)
  int64_t N = 0;
  int64_t V = 0;
  float temperature = 1;  // 0: the largest logit, ties to the smaller id; logprob at temperature 1.
  float top_p = 1;
};

}  // namespace troupe::kernels

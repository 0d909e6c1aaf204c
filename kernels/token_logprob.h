// Logprob of a given token under softmax(logit / temperature), and the entropy.
//
//   z = logit / temperature     lse = max z + ln(sum over v of exp(z - max z))
//   logprob = z[token] - lse    entropy = lse - sum over v of exp(z - lse) z
//   dlogit[v] = dlogprob / temperature ((v == token) - exp(z[v] - lse))           rounded as stored
//
// lse is kept for backward: the probabilities are never stored. Sums over v are sixteen partials
// (v mod 16) folded 8-4-2-1, the logarithm is elementary.h's in double (CUDA's:
// kernels/cuda/README.md), the same for both, so that sampling and scoring a token give the same
// bits. For logits of size L the entropy loses about L 2^-24. A logit that is no number makes the
// whole row's results none.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct TokenLogprob {
  Device<float> logprob{};  // (N)  out
  Device<float> lse{};      // (N)  out, kept for backward
  Device<float> entropy{};  // (N)  out; may be absent
  Device<float> logit{};    // (N, V)
  Device<int32_t> token{};  // (N)
  int64_t N = 0;
  int64_t V = 0;
  float temperature = 1;
};
struct TokenLogprobBackward {
  Stored dlogit{};           // (N, V)  out
  Device<float> dlogprob{};  // (N)
  Device<float> lse{};       // (N)
  Device<float> logit{};     // (N, V)
  Device<int32_t> token{};   // (N)
  int64_t N = 0;
  int64_t V = 0;
  float temperature = 1;
};

}  // namespace troupe::kernels

// The router of a mixture of experts (DeepSeek-V3, 2024, section 2.1.2; with a softmax,
// DeepSeek-V2, Mixtral and Qwen3), and the way of rows to their experts and back.
//
//   score[n, e] = sigmoid(logit[n, e]), or softmax over e
//   chosen(n)   = the K largest of score + bias among the experts of the groups_kept best groups; a
//                 group's merit is the sum of its two largest score + bias, or the largest
//   weight[n, k] = scaling score[n, e_k] / (sum over k of score[n, e_k] + 1e-20)   (or without the
//   sum)
//
// Ties go to the smaller index, of experts and of groups. The bias balances load by choice alone
// and has no gradient. A token's experts come in rising order, so that what is added up over them
// is added in a fixed order. Backward, with the choice as a constant, d = scaling dweight, S the
// sum (1 and no second term where not normalised):
//   dscore[k] = d[k] / S - (sum over k of d[k] score[k]) / S^2
//   sigmoid  dlogit[e_k] = dscore[k] score (1 - score),  0 for those not chosen
//   softmax  dlogit[e] = score[e] (dscore[e] - sum over k of dscore[k] score[e_k])
// rounded as stored.
// Logits that are no numbers give some valid choice and weights that are none.
#pragma once

#include <cstdint>

#include "kernels/device_types.h"

namespace troupe::kernels {

struct Gate {
  Device<int32_t> expert{};  // (N, K)  out, ascending within a token
  Device<float> weight{};    // (N, K)  out
  Device<float> score{};     // (N, E)  out, kept for backward
  Device<float> logit{};     // (N, E)
  Device<float> bias{};      // (E)  for the selection only; may be absent
  int64_t N = 0;
  int64_t E = 0;
  int64_t K = 0;
  int64_t num_groups = 1;
  int64_t groups_kept = 1;
  bool groups_by_best = false;  // A group's merit is its largest.
  bool is_softmax = false;
  bool normalises = true;
  float scaling = 1;
};
struct GateBackward {
  Stored dlogit{};           // (N, E)  out
  Device<float> dweight{};   // (N, K)
  Device<int32_t> expert{};  // (N, K)
  Device<float> score{};     // (N, E)
  int64_t N = 0;
  int64_t E = 0;
  int64_t K = 0;
  bool is_softmax = false;
  bool normalises = true;
  float scaling = 1;
};

// Rows of all experts one after another, each expert's in token order.
struct Route {
  Device<int32_t> offsets{};    // (E+1)  out
  Device<int32_t> row_token{};  // (N*K)  out: token of each row
  Device<int32_t> slot_row{};   // (N, K)  out: row of each (token, k)
  Device<int64_t> counts{};     // (E)  accumulated tokens per expert; may be absent
  Device<int32_t> expert{};     // (N, K)
  int64_t N = 0;
  int64_t E = 0;
  int64_t K = 0;
};

// The way back to tokens, through a weight of each expert: with e the expert of row r,
//   row[r] = x[r] W[e]^T            (a whole product), or
//   row[r] = x[r] W[e]^T + x2[r] W2[e]^T
//   out[n] += sum over k, in expert order, of weight[n, k] row[slot_row[n, k]]
// The sum is formed before it is added. Rows of products are never kept.
struct CombineExperts {
  Device<float> out{};  // (N, D)
  Stored x{};           // (N*K, F)
  Stored x2{};          // (N*K, F); may be absent
  Packed w{};           // (D, F), of expert 0; w_stride_bytes to the next
  Packed w2{};
  int64_t w_stride_bytes = 0;
  Device<float> weight{};      // (N, K); 1 where absent
  Device<int32_t> slot_row{};  // (N, K)
  Device<int32_t> offsets{};   // (E+1)
  int64_t N = 0;
  int64_t K = 0;
  int64_t D = 0;
  int64_t E = 0;
  int64_t F = 0;
};

}  // namespace troupe::kernels

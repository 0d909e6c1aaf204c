// What one token contributes to the loss, and the slope of that in its log-probability. Everything
// is in double and per token; how tokens are weighed is fixed before packing.
//
//   GRPO (DeepSeekMath eq. 3-4, DeepSeek-R1), minimised:
//     ratio = exp(logprob - rollout_logprob)
//     loss  = -min(ratio A, clip(ratio, 1 - clip_low, 1 + clip_high) A) + kl_coef kl
//     d = ref_logprob - logprob;  k1 = -d,  k2 = d^2 / 2,  k3 = e^d - d - 1
//   SFT: loss = -logprob
#pragma once

#include <string_view>

namespace troupe::model {

enum class KlEstimator { kK1, kK2, kK3 };

KlEstimator kl_estimator(std::string_view name);  // k1 | k2 | k3

struct GrpoObjective {
  double clip_low = 0.2;
  double clip_high = 0.2;
  double kl_coef = 0;
  KlEstimator kl_estimator = KlEstimator::kK3;
};

struct TokenLoss {
  double loss = 0;
  double slope = 0;  // d loss / d logprob
  double ratio = 1;
  double kl = 0;
  bool is_clipped = false;  // The minimum is the clipped term, strictly.
};

TokenLoss grpo_token_loss(const GrpoObjective& objective, double advantage, double logprob,
                          double rollout_logprob, double ref_logprob);

}  // namespace troupe::model

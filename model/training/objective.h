// What one token contributes to the loss, and the slope of that in its log-probability. Everything
// is in double and per token; how tokens are weighed is fixed before packing.
//
//   GRPO (DeepSeekMath eq. 3-4, DeepSeek-R1), minimised:
//     ratio = exp(logprob - rollout_logprob)
//     loss  = -min(ratio A, clip(ratio, 1 - clip_low, 1 + clip_high) A) + kl_coef kl
//     d = ref_logprob - logprob;  k1 = -d,  k2 = d^2 / 2,  k3 = e^d - d - 1
//   Off-policy corrections, for responses of an older policy: clipping is against the policy that
//   the round's learning began with, and an importance weight without a gradient makes up for the
//   rest.
//     ratio  = exp(logprob - old_logprob)
//     weight = exp(old_logprob - rollout_logprob)   decoupled (AReaL, arXiv 2505.24298)
//              min(that, importance_cap)            truncated importance sampling
//     loss   = -weight min(...) + kl_coef kl
//   Where old and rollout agree bit for bit the weight is exactly 1, and a correction with a cap of
//   at least 1 changes no bit. SFT: loss = -logprob
#pragma once

#include <string_view>

namespace troupe::model {

enum class KlEstimator { kK1, kK2, kK3 };

KlEstimator kl_estimator(std::string_view name);  // k1 | k2 | k3

enum class OffPolicyCorrection { kNone, kDecoupled, kTruncated };

OffPolicyCorrection off_policy_correction(std::string_view name);  // none | decoupled | truncated

struct GrpoObjective {
  double clip_low = 0.2;
  double clip_high = 0.2;
  double kl_coef = 0;
  KlEstimator kl_estimator = KlEstimator::kK3;
  OffPolicyCorrection off_policy_correction = OffPolicyCorrection::kNone;
  double importance_cap = 2;  // kTruncated only.
};

// Of one token.
struct TokenLogprobs {
  double current = 0;
  double rollout = 0;    // By the policy that sampled it.
  double old = 0;        // By the policy that the round's learning began with; corrections only.
  double reference = 0;  // By the policy that the divergence is measured from.
};

struct TokenLoss {
  double loss = 0;
  double slope = 0;  // d loss / d current
  double ratio = 1;
  double importance_weight = 1;
  double kl = 0;
  bool is_clipped = false;    // The minimum is the clipped term, strictly.
  bool is_truncated = false;  // The importance weight was above the cap.
};

TokenLoss grpo_token_loss(const GrpoObjective& objective, double advantage,
                          const TokenLogprobs& logprob);

}  // namespace troupe::model

#include "model/training/objective.h"

#include <algorithm>

#include "kernels/elementary.h"
#include "schemas/check.h"

namespace troupe::model {

KlEstimator kl_estimator(std::string_view name) {
  if (name == "k1") return KlEstimator::kK1;
  if (name == "k2") return KlEstimator::kK2;
  TROUPE_CHECK(name == "k3");
  return KlEstimator::kK3;
}

OffPolicyCorrection off_policy_correction(std::string_view name) {
  if (name == "none") return OffPolicyCorrection::kNone;
  if (name == "decoupled") return OffPolicyCorrection::kDecoupled;
  TROUPE_CHECK(name == "truncated");
  return OffPolicyCorrection::kTruncated;
}

TokenLoss grpo_token_loss(const GrpoObjective& objective, double advantage,
                          const TokenLogprobs& logprob) {
  TokenLoss token;
  double clipped_against = logprob.rollout;
  if (objective.off_policy_correction != OffPolicyCorrection::kNone) {
    clipped_against = logprob.old;
    token.importance_weight = kernels::exp_exact(logprob.old - logprob.rollout);
  }
  if (objective.off_policy_correction == OffPolicyCorrection::kTruncated) {
    token.is_truncated = token.importance_weight > objective.importance_cap;
    token.importance_weight = std::min(token.importance_weight, objective.importance_cap);
  }
  token.ratio = kernels::exp_exact(logprob.current - clipped_against);
  const double clipped =
      std::clamp(token.ratio, 1.0 - objective.clip_low, 1.0 + objective.clip_high);
  token.is_clipped = clipped * advantage < token.ratio * advantage;
  // The ratio's own slope is the ratio; a clipped term is constant, and so is the weight.
  token.loss = -(token.is_clipped ? clipped : token.ratio) * advantage * token.importance_weight;
  token.slope = token.is_clipped ? 0.0 : -token.ratio * advantage * token.importance_weight;

  const double d = logprob.reference - logprob.current;
  double kl_slope = 0;
  switch (objective.kl_estimator) {
    case KlEstimator::kK1:
      token.kl = -d;
      kl_slope = 1;
      break;
    case KlEstimator::kK2:
      token.kl = d * d / 2;
      kl_slope = -d;
      break;
    case KlEstimator::kK3: {
      const double e = kernels::exp_exact(d);
      token.kl = e - d - 1;
      kl_slope = 1 - e;
      break;
    }
  }
  if (objective.kl_coef != 0) {
    token.loss += objective.kl_coef * token.kl;
    token.slope += objective.kl_coef * kl_slope;
  }
  return token;
}

}  // namespace troupe::model

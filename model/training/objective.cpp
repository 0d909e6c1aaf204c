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

TokenLoss grpo_token_loss(const GrpoObjective& objective, double advantage, double logprob,
                          double rollout_logprob, double ref_logprob) {
  TokenLoss token;
  token.ratio = kernels::exp_exact(logprob - rollout_logprob);
  const double clipped =
      std::clamp(token.ratio, 1.0 - objective.clip_low, 1.0 + objective.clip_high);
  token.is_clipped = clipped * advantage < token.ratio * advantage;
  // The ratio's own slope is the ratio; a clipped term is constant.
  token.loss = -(token.is_clipped ? clipped : token.ratio) * advantage;
  token.slope = token.is_clipped ? 0.0 : -token.ratio * advantage;

  const double d = ref_logprob - logprob;
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

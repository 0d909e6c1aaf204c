#include "cluster/planner/cost_model.h"

namespace troupe::cluster {

double reference_seconds(const CostInputs& in, double tokens, double squares, double devices) {
  return (forward_flops(in.policy, tokens, squares, in.learner_is_latent) / in.prefill_flops +
          tokens * in.policy.layers * in.layer_token) /
         devices;
}

}  // namespace troupe::cluster

#include "cluster/planner/cost_model.h"

namespace troupe::cluster {
namespace {

double step_seconds(const CostInputs& in, double tokens, double squares, double flops) {
  return 3 * forward_flops(in.policy, tokens, squares, in.learner_is_latent) / flops +
         in.optimizer_seconds;
}

}  // namespace

double learn_step_seconds(const CostInputs& in, double tokens, double squares, double devices) {
  return step_seconds(in, tokens, squares, devices * in.train_flops);
}

double imitation_step_seconds(const CostInputs& in, double tokens, double squares, double devices) {
  return step_seconds(in, tokens, squares, devices * in.sft_flops);
}

}  // namespace troupe::cluster

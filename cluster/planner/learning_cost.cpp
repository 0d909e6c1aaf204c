#include "cluster/planner/cost_model.h"

namespace troupe::cluster {
namespace {

// `rate` is of one device.
double step_seconds(const CostInputs& in, double tokens, double squares, double rate,
                    double devices) {
  constexpr double kForwards = 3;  // Backward is as much as two.
  const double forward = forward_flops(in.policy, tokens, squares, in.learner_is_latent) / rate +
                         tokens * in.policy.layers * in.layer_token;
  return kForwards * forward / devices + in.optimizer_seconds;
}

}  // namespace

double learn_step_seconds(const CostInputs& in, double tokens, double squares, double devices) {
  return step_seconds(in, tokens, squares, in.train_flops, devices);
}

double imitation_step_seconds(const CostInputs& in, double tokens, double squares, double devices) {
  return step_seconds(in, tokens, squares, in.sft_flops, devices);
}

}  // namespace troupe::cluster

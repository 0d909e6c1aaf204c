#include <algorithm>
#include <cmath>

#include "cluster/planner/cost_model.h"

namespace troupe::cluster {
namespace {

// Straight lines between the measured numbers of devices, in their logarithm.
double exchange_at_128(const CostInputs& in, int64_t width) {
  const auto& x = in.exchange_log2_devices;
  const auto& y = in.exchange_seconds;
  const double at = std::log2(static_cast<double>(width));
  if (at <= x.front()) return y.front();
  for (size_t i = 1; i < x.size(); ++i) {
    if (at <= x[i]) return y[i - 1] + (y[i] - y[i - 1]) * (at - x[i - 1]) / (x[i] - x[i - 1]);
  }
  return y.back();
}

}  // namespace

double decode_step_seconds(const CostInputs& in, double responses, double context, int64_t width) {
  const PolicyCounts& p = in.policy;
  const double devices = static_cast<double>(width);
  const double tokens = responses * in.tokens_computed;
  const double attention =
      std::max(tokens * context * p.context_flops_latent / in.attention_flops,
               responses * context * p.cache_values * in.cache_value_bytes / in.attention_bytes);
  const bool has_experts = p.experts > 0;
  // Read once a step, however many responses there are; of the experts those that somebody chose.
  double bytes = p.everywhere * in.weight_bytes;
  double head = p.embedding * in.head_bytes;
  if (has_experts) {
    const double hit = 1 - std::pow(1 - p.experts_per_token / p.experts, tokens * devices);
    bytes += hit * p.routed * in.weight_bytes / devices;
  } else {
    bytes /= devices;
    head /= devices;
  }
  const double weights = (bytes + head) / in.weights_bytes;
  // One layer and the head again for each token that is drafted.
  const double draft =
      (in.tokens_computed - 1) *
      ((p.attention + 2 * p.expert) * in.weight_bytes + p.embedding * in.head_bytes) /
      in.weights_bytes;
  const double products = tokens * p.linear_flops / in.gemm_flops;
  double exchange = 0;
  if (width > 1 && has_experts) {
    const double full = exchange_at_128(in, width);
    exchange = p.expert_layers *
               (in.exchange_floor + std::max(0.0, full - in.exchange_floor) * tokens / 128);
  } else if (width > 1) {
    // Twice a layer, of what all of its devices' responses have.
    const double values = tokens * devices * p.layer_input_values * 2;
    exchange = 2 * p.layers * (in.reduce_floor + 2 * values / in.reduce_bytes);
  }
  const double alone = attention + std::max(weights, products) + exchange;
  // Two halves of the batch: one computes while the other is exchanged, and both read the weights.
  const double overlapped = std::max(attention + std::max(2 * weights, products), exchange);
  return in.step_overhead + tokens * p.layers * in.layer_token + draft +
         std::min(alone, overlapped);
}

double decode_rate(const CostInputs& in, double responses, double context, int64_t width) {
  return in.tokens_gained / decode_step_seconds(in, responses, context, width);
}

}  // namespace troupe::cluster

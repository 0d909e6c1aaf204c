#include "cluster/planner/memory_plan.h"

#include <algorithm>

namespace troupe::cluster {

double MemoryPlan::used() const {
  double sum = 0;
  for (const MemoryPart& part : parts) sum += part.bytes;
  return sum;
}

double MemoryPlan::short_by() const { return std::max(0.0, used() - usable); }

MemoryPlan generating_memory(const CostInputs& in, int64_t width, double cache_tokens,
                             double usable, double workspace, double redundant_experts) {
  const PolicyCounts& p = in.policy;
  const double devices = static_cast<double>(width);
  const double shared = p.experts > 0 ? 1 : devices;  // Divided where there are no experts.
  // Copies of the busiest experts, where they are divided.
  const double copies = width > 1 ? redundant_experts : 0;
  MemoryPlan plan{.usable = usable};
  plan.parts = {{"attention and shared weights", p.everywhere * in.weight_bytes / shared},
                {"embedding and head", p.heads * p.embedding * in.head_bytes / shared}};
  if (p.experts > 0) {
    plan.parts.push_back(
        {"experts", (p.experts + copies) / devices * p.expert_layers * p.expert * in.weight_bytes});
  }
  plan.parts.push_back({"workspace", workspace});
  const double token = p.cache_values * in.cache_value_bytes / shared;
  plan.parts.push_back({"cache", std::max(usable - plan.used(), cache_tokens * token)});
  return plan;
}

MemoryPlan learning_memory(const CostInputs& in, const LearnerShape& shape, double tokens,
                           bool recomputes, double usable, double workspace) {
  const PolicyCounts& p = in.policy;
  const auto devices = static_cast<double>(shape.devices);
  const auto experts = static_cast<double>(shape.experts);
  const double rest = p.everywhere + p.heads * p.embedding;
  // Weights lie by layer over all devices and two layers are gathered; experts lie whole in each
  // set of devices that has them; gradients and the optimizer's state are divided over all.
  const double own_experts = p.routed / experts;
  MemoryPlan plan{.usable = usable};
  if (p.experts > 0) plan.parts.push_back({"experts", own_experts * in.weight_bytes});
  const double gathered = std::min(2.0, devices - 1) * p.everywhere / p.layers;
  plan.parts.push_back({"other weights", (rest / devices + gathered) * in.weight_bytes});
  plan.parts.push_back({"gradients", 4 * (p.routed + rest) / devices});
  plan.parts.push_back({"masters and moments", 8 * p.parameters / devices});
  const double kept = recomputes ? p.layer_input_values : p.activation_values;
  plan.parts.push_back({recomputes ? "layer inputs" : "activations",
                        tokens / static_cast<double>(shape.context) * p.layers * kept * 2});
  plan.parts.push_back({"workspace", workspace});
  return plan;
}

LearnerShape best_learner_shape(const CostInputs& in, int64_t devices, int64_t context_max,
                                double tokens, bool recomputes, double usable, double workspace) {
  constexpr double kFilledMax = 0.75;  // What is not counted needs room, too.
  LearnerShape best{.devices = devices};
  double least = 1e300;
  const auto experts_max = static_cast<int64_t>(std::max(1.0, in.policy.experts));
  for (int64_t both = 1; both <= devices; both *= 2) {
    for (int64_t context = 1; context <= std::min(both, context_max); context *= 2) {
      const LearnerShape shape{.devices = devices, .experts = both, .context = context};
      if (devices % both != 0 || both > experts_max || experts_max % both != 0) continue;
      const double used = learning_memory(in, shape, tokens, recomputes, usable, workspace).used();
      if (used <= kFilledMax * usable) return shape;
      if (used < least) {
        least = used;
        best = shape;
      }
    }
  }
  return best;
}

}  // namespace troupe::cluster

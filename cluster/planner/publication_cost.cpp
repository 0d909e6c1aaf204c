#include "cluster/planner/cost_model.h"

namespace troupe::cluster {

double generating_weight_bytes(const CostInputs& in) {
  const PolicyCounts& p = in.policy;
  return (p.routed + p.everywhere) * in.weight_bytes + p.heads * p.embedding * in.head_bytes;
}

double publish_seconds(const CostInputs& in) {
  return generating_weight_bytes(in) / in.publish_bytes;
}

double load_seconds(const CostInputs& in, int64_t width) {
  const PolicyCounts& p = in.policy;
  const double devices = static_cast<double>(width);
  if (p.experts == 0) return generating_weight_bytes(in) / devices / in.load_bytes;
  // Attention and head are on every device.
  return (generating_weight_bytes(in) - p.routed * in.weight_bytes * (1 - 1 / devices)) /
         in.load_bytes;
}

}  // namespace troupe::cluster

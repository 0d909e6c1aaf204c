#include "cluster/planner/cost_model.h"

namespace troupe::cluster {

double recovery_point_seconds(const CostInputs& in) {
  constexpr double kStateBytes = 8;  // Masters in four bytes, two moments in two each.
  return kStateBytes * in.policy.parameters / in.storage_bytes;
}

}  // namespace troupe::cluster

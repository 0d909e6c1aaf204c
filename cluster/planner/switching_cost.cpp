#include "cluster/planner/cost_model.h"

namespace troupe::cluster {

double switch_seconds(const CostInputs& in, double generating, double learning) {
  return publish_seconds(in) + 2 * (generating + learning) / in.offload_bytes;
}

}  // namespace troupe::cluster

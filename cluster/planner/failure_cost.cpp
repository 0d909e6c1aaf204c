#include "cluster/planner/cost_model.h"

namespace troupe::cluster {

double failure_seconds(const CostInputs& in, double seconds, double devices, double lost) {
  return seconds * devices / in.mtbf_seconds * (lost + in.restart_seconds);
}

}  // namespace troupe::cluster

#include "cluster/planner/cost_model.h"

namespace troupe::cluster {

double last_verdict_seconds(const CostInputs& in) { return in.last_verdict; }

}  // namespace troupe::cluster

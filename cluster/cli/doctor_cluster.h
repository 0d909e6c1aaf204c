// `troupe doctor --cluster`.
#pragma once

#include "cluster/cli/door.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Prints how each host is, one after another, and what is wrong. kInternal when something is.
Status examine_cluster(const ServerChoice& choice, bool is_json);

}  // namespace troupe::cluster

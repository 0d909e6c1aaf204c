// A finished run as JSON, for commands that end with one.
#pragma once

#include <nlohmann/json.hpp>

#include "cluster/daemon/embedded_run.h"

namespace troupe::cluster {

// {"state","steps","weights_sha256","checkpoint","trajectories":{...},"ledger":{...},"seconds"};
// the state is "finished", or "stopped" when it was interrupted.
nlohmann::ordered_json to_json(const RunOutcome& outcome);

}  // namespace troupe::cluster

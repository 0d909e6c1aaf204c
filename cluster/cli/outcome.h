// A finished run as JSON, for commands that end with one.
#pragma once

#include <nlohmann/json.hpp>

#include "actors/controller/local_run.h"

namespace troupe::cluster {

// {"state","steps","weights_sha256","checkpoint","trajectories":{...},"ledger":{...},"seconds"}
nlohmann::ordered_json to_json(const actors::RunOutcome& outcome);

}  // namespace troupe::cluster

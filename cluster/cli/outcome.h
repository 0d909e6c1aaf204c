// A finished run as JSON, for commands that end with one.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>

#include "cluster/daemon/embedded_run.h"

namespace troupe::cluster {

// The bill, divided by the held-out problems that the last evaluation solved; null where none was.
nlohmann::ordered_json cost_per_solved_problem(const RunOutcome& outcome);

// What the run cost, in a few lines for people.
void print_bill(std::FILE* out, const RunOutcome& outcome);

// {"state","steps","weights_sha256","checkpoint","trajectories":{...},"ledger":{...},
//  "cost_per_solved_problem","seconds"};
// the state is "finished", or "stopped" when it was interrupted.
nlohmann::ordered_json to_json(const RunOutcome& outcome);

}  // namespace troupe::cluster

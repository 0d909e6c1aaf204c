// What the page is told, as JSON. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/monitor/run_board.h"
#include "cluster/monitor/trace_files.h"
#include "schemas/control.h"

namespace troupe::cluster {

nlohmann::ordered_json to_json(const HostSummary& host);

// The newest of everything but curves.
nlohmann::ordered_json to_json(const RunBoard& board);
nlohmann::ordered_json to_json(const CurvePoints& points);

// The newest pieces of work that ended after `since`, seconds since 1970.
nlohmann::ordered_json work_json(const RunBoard& board, double since);

nlohmann::ordered_json to_json(const std::vector<ProblemAnswers>& problems);

// A round's groups for an overview: all but the texts of responses.
nlohmann::ordered_json overview_of(const std::vector<nlohmann::json>& groups);

}  // namespace troupe::cluster

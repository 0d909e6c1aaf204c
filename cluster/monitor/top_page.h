// The whole cluster on one page: its jobs as a table, and the page of the one that runs.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/monitor/run_view.h"
#include "schemas/control.h"

namespace troupe::cluster {

// The table, a header first; all text printable. Jobs that run come first, then those that wait,
// then the newest of the rest. Whose a job is is told where one of them has an owner.
std::vector<std::string> job_table(std::span<const JobSummary> jobs);

// At most `size.rows` lines of at most `size.columns`. `run` is the running job's, or nothing;
// `message` is what went wrong, or empty. The table gets a third of the page, more where there is
// no run.
std::vector<ViewLine> render_top(std::span<const JobSummary> jobs, const RunState* run,
                                 const std::string& message, ViewSize size, double now);

}  // namespace troupe::cluster

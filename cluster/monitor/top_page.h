// `troupe top` as it is drawn: what TopState says, in at most so many rows and columns.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/monitor/run_view.h"
#include "cluster/monitor/top_state.h"
#include "schemas/control.h"

namespace troupe::cluster {

// The table, a header first, jobs in the order given; all text printable. Whose a job is is told
// where one of them has an owner.
std::vector<std::string> job_table(std::span<const JobSummary> jobs);

struct TopPage {
  std::vector<ViewLine> lines{};  // At most size.rows of at most size.columns.
  // For TopState::drawn.
  size_t rows_shown = 0;
  size_t rows = 0;
};

// `run` is what is known of the job that is followed, or nothing.
TopPage render_top(const TopState& state, const RunState* run, ViewSize size, double now);

}  // namespace troupe::cluster

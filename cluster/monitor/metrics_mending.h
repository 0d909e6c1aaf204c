// A run's metrics.jsonl after a crash: what the store has is in it, each step and each evaluation
// once.
#pragma once

#include <string>

#include "actors/replay/job_history.h"

namespace troupe::cluster {

inline constexpr int kMetricsLineDepthMax = 4;
inline constexpr size_t kMetricsLineBytesMax = 256 << 10;

// Between a step's commit and its line a kill may come, and a loss of power may take lines that the
// store has. They are put where they belong, with the time of the line before them. Lines that are
// not whole go, of several about one step or evaluation all but the first, and those of steps that
// the store does not have, because they will come again. Lines about moments stay.
//
// A file in which nothing is wrong is not touched; another one is there whole or as it was. False
// when it had to be mended and cannot be written.
bool mend_metrics(const std::string& path, const actors::ReportedPast& past);

}  // namespace troupe::cluster

// What people who watch a run cost the daemon: a real one with a job that runs, watched over the
// network.
#pragma once

#include <cstddef>

#include "schemas/result.h"

namespace troupe::cluster {

struct WatchingSpeed {
  size_t num_watchers = 0;
  double seconds = 0;       // Of watching, all of it while the job ran.
  double head_seconds = 0;  // Processor time that the daemon, not its workers, needed meanwhile.
  double num_events = 0;    // That came in, of all watchers.
  double steps = 0;         // That the job did meanwhile.
};

// Starts a daemon with a home in the folder for temporary files and the quickstart's job, watches
// it, and ends both.
Result<WatchingSpeed> measure_watching(size_t num_watchers);

}  // namespace troupe::cluster

// How fast a daemon here accepts jobs: a real one, asked by many clients at once.
#pragma once

#include <cstddef>
#include <vector>

#include "schemas/result.h"

namespace troupe::cluster {

struct SubmissionSpeed {
  size_t num_clients = 0;            // Each waits for its answer and then asks again.
  double seconds = 0;                // From the first request to the last answer.
  std::vector<double> latency_ms{};  // Of each accepted job, sorted.
  std::vector<double> sync_ms{};     // Of fdatasync after 4 KiB in the same folder, sorted.
};

// Starts a daemon with a home in the folder for temporary files, submits `num_jobs` jobs that wait
// there, and ends it. Clients come in by its socket, or over the loopback network, each with a key
// of its own.
Result<SubmissionSpeed> measure_submissions(size_t num_clients, size_t num_jobs, bool is_network);

}  // namespace troupe::cluster

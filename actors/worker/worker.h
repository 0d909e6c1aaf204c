// A worker process: connects to its head, takes a lease, plays the roles that the lease gives it,
// and goes when the head goes. It keeps nothing that matters: killing it at any moment costs only
// the time of what it had in hand.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/backend.h"
#include "schemas/result.h"

namespace troupe::actors {

struct WorkerOptions {
  uint32_t slot = 0;
  uint64_t job = 0;
  std::string token{};  // From whoever started the process.
  uint16_t port = 0;    // Of the head, on this host.
  std::string credentials_folder{};
};

// Runs until the head says that it is enough or is gone. An error says why it could not begin.
Status run_worker(const kernels::Backend& backend, const WorkerOptions& options);

}  // namespace troupe::actors

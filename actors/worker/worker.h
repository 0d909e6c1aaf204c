// A worker process: connects to its head, takes a lease, plays the roles that the lease gives it,
// and goes when the head goes, or when no other head has come for a while. Meanwhile it ends what
// it has in hand. It keeps nothing that matters: killing it at any moment costs only the time of
// that.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
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
  // A lease is taken: it says how long to wait for another head when this one is gone.
  std::function<void(std::chrono::seconds patience)> lease_taken{};
  // The head cannot be heard any more. Waits for the next one and returns its port, or ends this
  // process when none comes; nothing when the head is still there and only the connection is not.
  std::function<std::optional<uint16_t>()> next_head{};
};

// Runs until a head says that it is enough or none is left. An error says why it could not begin.
Status run_worker(const kernels::Backend& backend, const WorkerOptions& options);

}  // namespace troupe::actors

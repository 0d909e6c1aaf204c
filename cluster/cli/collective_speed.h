// How fast bytes move between the ranks of a team on this machine: the ranks are threads, each with
// sockets of its own.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::cluster {

struct CollectiveCase {
  std::string_view transport{};  // "loopback", "ipc", "tcp"; the last one with CURVE.
  int num_ranks = 0;
  int64_t bytes = 0;  // That each rank sends to all others together.
};

// Seconds of each all_to_all as rank 0 saw it, sorted. Takes about `seconds_max`, and at least a
// few operations.
Result<std::vector<double>> measure_all_to_all(const CollectiveCase& of, double seconds_max);

}  // namespace troupe::cluster

// What is wrong with the hosts of a cluster, in words, from how each of them is.
#pragma once

#include <string>
#include <vector>

#include "schemas/control.h"

namespace troupe::cluster {

// A host is compared with the median of all; two alone tell nothing of which is right.
inline constexpr size_t kHostsComparedMin = 3;

struct HealthLimits {
  double clock_seconds_max = 1;  // Certificates and logs of hosts are compared by people.
  double disk_free_part_min = 0.05;
  double compute_part_min = 0.8;   // Of the median.
  double link_part_min = 0.5;      // Of the median.
  double round_trip_part_max = 5;  // Of the median, and of no interest below ...
  double round_trip_seconds_min = 0.002;
  uint64_t shm_bytes_min = uint64_t{1} << 30;  // Where there are GPUs, whose ranks meet there.
};

// One line for each thing that is wrong, beginning with the host's name; empty: all is well.
std::vector<std::string> find_complaints(const std::vector<HostReport>& reports,
                                         const HealthLimits& limits = {});

}  // namespace troupe::cluster

// A cluster as people write it: "64x8xH800", 64 hosts with 8 devices each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/planner/tables.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct PlannedCluster {
  int64_t nodes = 0;
  int64_t devices_per_node = 0;
  std::string device_name{};
  DeviceTable device{};
  NetworkTable network{};

  int64_t devices() const { return nodes * devices_per_node; }
};

// kInvalidArgument, with an example or the nearest name, where `text` is no cluster, its device has
// no table, or its hosts do not have so many.
Result<PlannedCluster> parse_cluster(std::string_view text, const PlannerTables& tables);

}  // namespace troupe::cluster

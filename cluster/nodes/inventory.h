// What this host has, for whoever places work on it.
#pragma once

#include <cstdint>
#include <string>

#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Cores and memory that this process may use, by NUMA part; the disk is that of `folder`. So many
// slots as there are devices, or else cores, unless `slots` says how many.
HostFacts take_inventory(const std::string& folder, uint32_t slots = 0);

// Whether each slot of a host is a GPU: unless there are more slots than GPUs, or none.
bool slots_are_gpus(uint32_t slots, size_t gpus);

// Of the file system that a folder lies on; 0 where that cannot be told.
uint64_t disk_free_bytes(const std::string& folder);

// What tells this program from another build of it. kInternal when it cannot read itself.
Result<std::string> build_of_program();

}  // namespace troupe::cluster

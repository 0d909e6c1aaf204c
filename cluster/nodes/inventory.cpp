#include "cluster/nodes/inventory.h"

#include <hwloc.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "actors/job/prepared_job.h"
#include "cluster/monitor/gpu_reader.h"
#include "schemas/hash.h"

namespace troupe::cluster {
namespace {

struct Topology {
  Topology() {
    is_loaded = hwloc_topology_init(&topology) == 0 && hwloc_topology_load(topology) == 0;
  }
  ~Topology() {
    if (topology != nullptr) hwloc_topology_destroy(topology);
  }
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  hwloc_topology_t topology = nullptr;
  bool is_loaded = false;
};

}  // namespace

HostFacts take_inventory(const std::string& folder, uint32_t slots) {
  HostFacts facts{.cores = static_cast<uint32_t>(actors::available_cores())};
  // Virtual machines that are given memory while they run may count it to no part.
  facts.memory_bytes =
      static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::getpagesize());
  if (const Topology host; host.is_loaded) {
    for (hwloc_obj_t part = nullptr;
         (part = hwloc_get_next_obj_by_type(host.topology, HWLOC_OBJ_NUMANODE, part)) != nullptr;) {
      facts.cores_of_part.push_back(static_cast<uint32_t>(
          hwloc_get_nbobjs_inside_cpuset_by_type(host.topology, part->cpuset, HWLOC_OBJ_PU)));
    }
  }
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) == 0) {
    facts.disk_bytes = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize;
    facts.disk_free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  }
  if (const auto gpus = GpuReader::open()) {
    const auto usable = usable_gpus((*gpus)->facts(), std::getenv("CUDA_VISIBLE_DEVICES"));
    for (const GpuFacts& gpu : (*gpus)->facts()) {
      const bool may_be_used = std::find(usable.begin(), usable.end(), gpu.id) != usable.end();
      if (may_be_used) facts.devices.push_back(gpu.name);
    }
  }
  const auto devices = static_cast<uint32_t>(facts.devices.size());
  facts.slots = slots > 0 ? slots : devices > 0 ? devices : facts.cores;
  return facts;
}

bool slots_are_gpus(uint32_t slots, size_t gpus) { return slots > 0 && slots <= gpus; }

uint64_t disk_free_bytes(const std::string& folder) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return 0;
  return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
}

Result<std::string> build_of_program() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string bytes = text.str();
  if (bytes.empty()) return Error{ErrorCode::kInternal, "cannot read /proc/self/exe"};
  return sha256_hex(std::as_bytes(std::span(bytes.data(), bytes.size()))).substr(0, 16);
}

}  // namespace troupe::cluster

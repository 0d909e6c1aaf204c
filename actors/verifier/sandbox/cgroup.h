// Control groups for boxes: what all processes of one box use together, limited and counted. Both
// versions of the kernel's interface, and none at all; one group per slot, used again and again
// because making one costs more than resetting it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "actors/verifier/sandbox/descriptor.h"
#include "schemas/result.h"

namespace troupe::actors::sandbox {

// Where this process may make groups: below its own, so that what limits it limits its boxes too.
// An empty folder: not there, and `reason` says why.
struct CgroupHome {
  struct Part {
    std::string folder{};
    std::string reason{};
    explicit operator bool() const { return !folder.empty(); }
  };
  int version = 0;  // 1 or 2, of the memory controller; 0: no control groups.
  Part memory{};
  Part processes{};
  Part cpu{};
};

// `mounts` and `own` are the texts of /proc/self/mountinfo and /proc/self/cgroup.
CgroupHome find_cgroup_home(const std::string& mounts, const std::string& own);

class Cgroup {
 public:
  // Removes what an earlier process left under this name, killing what is in it; only for whoever
  // holds the name's lease.
  static Result<Cgroup> make(const CgroupHome& home, const std::string& name);
  Cgroup(Cgroup&&) noexcept = default;
  Cgroup& operator=(Cgroup&&) noexcept = default;
  ~Cgroup();

  // Limits for the next run, and counters that start again.
  Status prepare(int64_t memory_bytes, int32_t processes);

  // Version 1 takes single threads, by these files, and a child is born where its thread is.
  std::vector<std::string> thread_entries() const;
  // Version 2 takes whole processes, which are born in this open folder; -1: it has none.
  int birth_folder() const { return birth_folder_.get(); }

  bool counts_cpu() const { return static_cast<bool>(cpu_usage_); }
  double cpu_seconds() const;  // Since prepare().
  bool limits_memory() const { return static_cast<bool>(memory_events_); }
  int64_t memory_peak_bytes() const;
  bool ran_out_of_memory() const;  // Something was killed for it since prepare().
  bool limits_processes() const { return static_cast<bool>(processes_max_); }

 private:
  Cgroup() = default;
  Status enter_folder(const std::string& folder);
  int64_t cpu_units() const;
  int64_t memory_kills() const;

  int version_ = 0;
  std::vector<std::string> folders_;
  Descriptor birth_folder_;
  Descriptor memory_max_, swap_max_, memory_peak_, memory_events_;
  Descriptor processes_max_, processes_now_;
  Descriptor cpu_usage_;
  int64_t memory_limit_ = -1;
  std::string processes_limit_;
  int64_t cpu_start_ = 0, kills_start_ = 0;
};

// Kills what is in the group and removes it, with a bound on the wait.
void remove_cgroup(const std::string& folder);

}  // namespace troupe::actors::sandbox

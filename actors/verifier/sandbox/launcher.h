// Starts programs from a thread that lives as long as the launcher: the kernel sends a parent-death
// signal when the *thread* that forked ends, so a caller's thread would take its boxes with it.
// The child shares this process's memory until it executes, as vfork's does, so that starting one
// costs the same however much memory the process has.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actors/verifier/sandbox/descriptor.h"
#include "schemas/result.h"

namespace troupe::actors::sandbox {

struct Launch {
  std::vector<std::string> argv{};  // argv[0] is the path.
  std::vector<std::string> environment{};
  std::vector<int> descriptors{};  // Entry i becomes descriptor i; all others are closed.
  std::vector<std::pair<int, rlimit>> limits{};
  int cgroup_folder = -1;  // An open folder of version 2 in which it is born.
  uid_t uid = 0;           // Also its gid, without other groups; 0: stays the caller's.
};

struct Launched {
  pid_t pid = -1;
  Descriptor process{};  // A pidfd.
};

class Launcher {
 public:
  // The thread enters the groups whose `tasks` files these are, and what it starts is born there.
  // To move a process that exists makes the kernel wait for all processors, which costs 0.3 ms on a
  // quiet machine and 10 ms on a busy one.
  static Result<std::unique_ptr<Launcher>> create(const std::vector<std::string>& groups);
  ~Launcher();  // Kills what its thread started, by its end.
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  // One at a time; returns when the program executes, or says what failed.
  Result<Launched> launch(const Launch& launch);

 private:
  Launcher() = default;
  void work(const std::vector<std::string>& groups);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Status> has_entered_;
  const Launch* order_ = nullptr;
  std::optional<Result<Launched>> result_;
  bool is_closing_ = false;
  std::thread thread_;
};

}  // namespace troupe::actors::sandbox

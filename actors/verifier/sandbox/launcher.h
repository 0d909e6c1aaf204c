// Starts programs from threads that live as long as the launcher: the kernel sends a parent-death
// signal when the *thread* that forked ends, so a caller's thread would take its boxes with it.
// The child shares this process's memory until it executes, as vfork's does, so that starting one
// costs the same however much memory the process has.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <mutex>
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
  std::vector<int> cgroups{};  // Open cgroup.procs files that the child enters.
  uid_t uid = 0;               // Also its gid, without other groups; 0: stays the caller's.
};

struct Launched {
  pid_t pid = -1;
  Descriptor process{};  // A pidfd.
};

class Launcher {
 public:
  explicit Launcher(int num_threads);
  ~Launcher();  // Kills what its threads started, by their end.

  // From any thread; returns when the program executes, or says what failed.
  Result<Launched> launch(const Launch& launch);

 private:
  struct Order;
  void work();

  std::mutex mutex_;
  std::condition_variable ordered_, done_;
  std::deque<Order*> orders_;
  bool is_closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace troupe::actors::sandbox

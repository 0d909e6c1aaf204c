// Starts boxes from a thread that lives as long as the launcher: the kernel sends a parent-death
// signal when the *thread* that forked ends, so a caller's thread would take its boxes with it.
// What is started shares this process's memory until it executes, as vfork's child does, so that a
// box costs the same however much memory the process has.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "actors/verifier/sandbox/descriptor.h"
#include "actors/verifier/sandbox/toolchain.h"
#include "schemas/result.h"

namespace troupe::actors::sandbox {

// A file of the root of a box.
struct LaunchFile {
  std::string path{};  // Without the leading '/'.
  std::string_view content{};
  mode_t mode = 0444;
};

struct Launch {
  std::vector<std::string> argv{};  // argv[0] is a path in the box: its process 1.
  std::vector<std::string> environment{};
  std::vector<int> descriptors{};  // Entry i becomes descriptor i; all others are closed.
  const std::vector<RootPart>* root = nullptr;
  std::vector<LaunchFile> files{};
  std::string temporary{};    // Options of /tmp and /dev/shm, each a file system of its own.
  std::string_view filter{};  // See system_call_filter().
  std::vector<std::pair<int, rlimit>> limits{};
  // Of processes and threads: of the user, counted on this host, and of the box with process 1.
  // Of a user that is the caller's own, nothing is known, and nothing is limited here.
  int64_t user_processes = 0;
  int64_t box_processes = 0;
  int cgroup_folder = -1;  // An open folder of version 2 in which it is born.
  uid_t uid = 0;           // Also its gid, without other groups; 0: stays the caller's.
};

struct Launched {
  pid_t pid = -1;        // Of process 1, here.
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

  // One at a time; returns when process 1 executes, or says what failed.
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

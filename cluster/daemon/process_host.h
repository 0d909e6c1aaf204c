// Worker processes on this host. Each is a process group of its own, so that Ctrl-C on the terminal
// reaches the head only, and holds a lifeline (lifeline.h), so that none outlives the head for
// longer than it was told to wait for the next one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/slot_host.h"
#include "cluster/daemon/process_card.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Holds a worker's token in its environment; arguments can be read by every user of the host.
inline constexpr char kTokenVariable[] = "TROUPE_WORKER_TOKEN";

// All of it may be called from any thread. A process gets `--slot N --port P --credentials FOLDER`
// behind its first arguments, no standard input or output and no descriptor but its standard error
// and the lifeline.
class ProcessHost {
 public:
  struct Options {
    std::string program = "/proc/self/exe";
    std::vector<std::string> arguments_before = {"worker"};
    // Ids of this host's GPUs. A process whose launch says cuda has one of them to itself, and sees
    // no other.
    std::vector<std::string> gpus{};
  };

  explicit ProcessHost(Options options);
  // Kills what is left and reports each end before it returns.
  ~ProcessHost();
  ProcessHost(const ProcessHost&) = delete;
  ProcessHost& operator=(const ProcessHost&) = delete;

  // `ended` runs on the host's own thread, possibly before this returns, and may start the next.
  // kInternal, and no call of it, when the program or the log cannot be opened, or no GPU is free.
  Result<uint64_t> start(const actors::WorkerLaunch& launch,
                         std::function<void(const actors::ProcessEnd&)> ended);

  // What an earlier run of the same program has left of a job; each process is from now on like one
  // of start().
  std::vector<actors::Survivor> take_over(uint64_t job, const std::string& credentials_folder,
                                          std::function<void(const actors::ProcessEnd&)> ended);

  // Kills what an earlier head has left of other jobs than those.
  static void end_left(const std::string& credentials_folder,
                       const std::function<bool(uint64_t job)>& goes_on);

  // SIGKILL, also to a process that is stopped. Nothing happens when it is gone already.
  void kill(uint64_t pid);
  void end_job(uint64_t job);

 private:
  struct Child {
    uint64_t job = 0;
    uint32_t slot = 0;
    Descriptor process{};  // A pidfd: it never means a later process with the same number.
    std::string card{};    // A file that names it; may be empty.
    std::string gpu{};     // Its id; empty: it has none.
    std::function<void(const actors::ProcessEnd&)> ended{};
  };

  void reap();
  void report_end(pid_t pid);
  Result<std::string> free_gpu() const;  // mutex_ is held.
  void wake() const;

  const Options options_;
  Descriptor lifeline_read_{};  // What children inherit.
  Descriptor lifeline_write_{};
  Descriptor wake_{};  // An eventfd: there is a new child, or an end to all of it.
  std::mutex mutex_{};
  std::map<pid_t, Child> children_{};  // Guarded by mutex_; removed by the reaper alone.
  bool is_stopping_ = false;           // Guarded by mutex_.
  std::thread reaper_{};               // Last, because it uses all of the above.
};

}  // namespace troupe::cluster

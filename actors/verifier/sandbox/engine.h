// What all boxes of one Sandbox share, and how one is started.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/verifier/sandbox/box.h"
#include "actors/verifier/sandbox/slot.h"

namespace troupe::actors::sandbox {

using Clock = std::chrono::steady_clock;

// Process 1 of a box (init/) is a child of this process. When it dies, the kernel ends every other
// process of the box before anyone is told.
struct Running {
  std::unique_ptr<Slot> slot{};
  Descriptor process{};  // A pidfd.
  pid_t pid = -1;
  // Ends to read; absent where not asked for. Process 1 writes its records to `records`.
  Descriptor output{}, report{}, errors{}, records{};
  BoxLimits limits{};
  std::string argv0{};
  Clock::time_point start{};
  double cpu_at_start = 0;  // Of making the box.
};

class Engine {
 public:
  static Result<std::shared_ptr<Engine>> create();

  Result<Running> start(const BoxProgram& program);
  void release(std::unique_ptr<Slot> slot) { slots_.release(std::move(slot)); }
  const CgroupHome& home() const { return slots_.home(); }

 private:
  explicit Engine(CgroupHome home);
  // Lives as long as the engine.
  Result<const std::vector<RootPart>*> root(const std::string& toolchain);

  Slots slots_;
  std::string filter_;
  std::mutex mutex_;
  std::map<std::string, std::vector<RootPart>> roots_;
};

// Follows a run to its end.
BoxResult follow(Running& running, const std::shared_ptr<Engine>& engine,
                 const std::atomic<bool>& is_killed);

// SIGKILL through a pidfd.
void kill_process(const Descriptor& process);

}  // namespace troupe::actors::sandbox

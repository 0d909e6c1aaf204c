// Who can start and end worker processes; cluster/daemon implements it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::actors {

// What a worker process needs to find its head.
struct WorkerLaunch {
  uint64_t job = 0;
  uint32_t slot = 0;
  std::string token{};               // It says this in its Hello.
  uint16_t port = 0;                 // Of the head, on 127.0.0.1.
  std::string credentials_folder{};  // TLS files.
  std::string log_path{};            // Its standard error is appended there; empty: to ours.
};

struct ProcessEnd {
  uint32_t slot = 0;
  uint64_t pid = 0;
  int exit_code = 0;  // Where signal is 0; -1: only its parent could know.
  int signal = 0;     // 0: it exited by itself.
};

// A process of a head that is gone, which waits for the next one.
struct Survivor {
  uint32_t slot = 0;
  uint64_t pid = 0;
  std::string token{};
};

class SlotHost {
 public:
  virtual ~SlotHost() = default;

  // Starts a process and returns its id; `ended` is called once, from any thread, when it is gone.
  // When this process ends in whatever way without its destructor, it ends too, or is there to be
  // taken over.
  virtual Result<uint64_t> start(const WorkerLaunch& launch,
                                 std::function<void(const ProcessEnd&)> ended) = 0;

  // What an earlier head of the same program has left of a job; each process is from now on like
  // one of start().
  virtual std::vector<Survivor> take_over(uint64_t job, const std::string& credentials_folder,
                                          std::function<void(const ProcessEnd&)> ended) = 0;

  // SIGKILL, also to a process that is stopped. Nothing happens when it is gone already.
  virtual void kill(uint64_t pid) = 0;
};

}  // namespace troupe::actors

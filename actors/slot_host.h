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
  uint16_t port = 0;                 // Of whom it talks to, on 127.0.0.1.
  std::string credentials_folder{};  // TLS files.
  std::string device = "cpu";        // Or cuda: which backend it is to have.
  std::string log_path{};            // Its standard error is appended there; empty: to ours.
  // ---- Of a cluster of several hosts.
  std::string node{};             // Where it is to run; empty: here.
  uint32_t patience_seconds = 0;  // How long its host lets it live without a head.
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
  // Its host's daemon has kept it, also where it is a learner, which begins again at a point.
  bool is_kept = false;
  std::string node{};  // Where it is; empty: here.
};

class SlotHost {
 public:
  virtual ~SlotHost() = default;

  // Starts a process. `started` is called once, from any thread and possibly before this returns,
  // with its id, which no other process of any host has; kInternal: there is none. Then `ended` is
  // called once, when it is gone. When this process ends in whatever way without its destructor, it
  // ends too, or is there to be taken over.
  virtual void start(const WorkerLaunch& launch, std::function<void(Result<uint64_t>)> started,
                     std::function<void(const ProcessEnd&)> ended) = 0;

  // Before any process of a job: its folder here, and what lies outside of it that its workers
  // read.
  virtual void serve_files(uint64_t job, const std::string& home,
                           const std::vector<std::string>& reads) = 0;

  // What an earlier head of the same program has left of a job; each process is from now on like
  // one of start().
  virtual std::vector<Survivor> take_over(uint64_t job, const std::string& credentials_folder,
                                          std::function<void(const ProcessEnd&)> ended) = 0;

  // SIGKILL, also to a process that is stopped. Nothing happens when it is gone already.
  virtual void kill(uint64_t pid) = 0;
  // The same to all processes of a job, also to those that are being started.
  virtual void end_job(uint64_t job) = 0;

  // Whether a host of this name, or of none, is the head's own.
  virtual bool is_here(const std::string& node) const = 0;
  // Where others reach a host; empty: they do not.
  virtual std::string address_of(const std::string& node) const = 0;

  // Other hosts need not keep what they have of a job at this path and below.
  virtual void drop_files(uint64_t job, const std::string& path) = 0;
  // Of a job whose files are served: another host is to have a copy of what lies at `path`, and the
  // others none. It was called `was` while workers wrote it. Nothing happens where there is none.
  virtual void keep_files(uint64_t job, const std::string& was, const std::string& path) = 0;
  // What other hosts have of `path` is put there again; waits for them, and may be called from any
  // thread before the job's files are served. The names of those hosts. kInternal: there are none.
  virtual Result<std::string> bring_back(uint64_t job, const std::string& home,
                                         const std::string& path) = 0;
};

}  // namespace troupe::actors

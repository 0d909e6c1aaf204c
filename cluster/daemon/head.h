// The head of a cluster: the store, the scheduler, the door for workers and the processes of this
// host, and the door for other hosts, in this process. `troupe run` and the daemon are both one.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/metrics_sink.h"
#include "actors/replay/replay_store.h"
#include "cluster/gateway/host_port.h"
#include "cluster/keys/key_ring.h"
#include "kernels/backend.h"
#include "schemas/control.h"
#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::cluster {

// Where a head keeps its store.
std::string store_folder(const std::string& head_folder);

// All jobs that a store has.
Result<std::vector<JobRecord>> stored_jobs(actors::ReplayStore& store);

class Head {
 public:
  struct Options {
    std::string folder{};             // Of the store and the credentials.
    std::optional<uint32_t> slots{};  // Workers with a device at a time on this host; none: one
                                      // per core.
    std::vector<TrustedProgram> trusted_programs{};
    std::function<std::string(uint64_t job)> home_of{};
    // As in actors::HeadContext; not set: jobs are as they were submitted.
    std::function<Result<JobSpec>(const JobRecord&)> with_paths{};
    actors::MakeSink make_sink{};
    // A job's record changed, durably. From a thread of the head's, which must not be kept.
    std::function<void(const JobRecord&)> job_changed = [](const JobRecord&) {};
    // A line for people that is about all jobs: the disk is full, or has room again. From a thread
    // of the head's, like the above.
    std::function<void(const std::string&)> noted = [](const std::string&) {};
    // Where other hosts join, with keys of the ring; port 0: any that is free.
    std::optional<HostPort> nodes_address{};
    std::shared_ptr<KeyRing> keys{};
  };

  // `store` is the one in store_folder(options.folder). Jobs that it holds go on. `backend`
  // outlives the head. kInvalidArgument when credentials or port cannot be had.
  static Result<std::unique_ptr<Head>> open(const kernels::Backend& backend,
                                            std::unique_ptr<actors::ReplayStore> store,
                                            Options options);
  // Ends everything at once; what is not finished goes on with the next head.
  ~Head();

  // `answer` is called once, from any thread, after what was asked is durable.
  void ask(ControlRequest request, Asker asker, std::function<void(ControlReply)> answer);
  // The same, as the local operator and waiting. kUnknownOutcome when there is no answer in time.
  Result<ControlReply> ask_and_wait(ControlRequest request, std::chrono::milliseconds patience);

  // Where other hosts join.
  std::optional<HostPort> nodes_address() const;

  // Free bytes of the homes of this host and of those that have joined, by name.
  std::map<std::string, uint64_t> disks_free() const;

  // Reports how a host is that hosts are listed with. `answer` is called once, from another thread,
  // after about a second; kOverloaded while another host is examined.
  void examine(HostSummary summary, std::function<void(ControlReply)> answer);

  // From now on workers end with this head, however it ends.
  void leave_nobody();

  // Stops the jobs that run at their next steps' boundaries, with recovery points. False when that
  // took longer than `patience` or cannot be recorded: nothing is lost by it. `meanwhile` is called
  // several times a second.
  bool drain(std::chrono::milliseconds patience, const std::function<void()>& meanwhile);

 private:
  class Implementation;
  explicit Head(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::cluster

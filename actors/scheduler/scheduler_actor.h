// The scheduler of a head as an actor: what users ask, made durable before it is answered, and the
// runs of jobs, begun and ended as the queue says.
#pragma once

#include <caf/all.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/controller/run_actor.h"
#include "actors/head_context.h"
#include "actors/scheduler/cluster_queue.h"
#include "schemas/control.h"

namespace troupe::actors {

// `answer` is called once, from any thread, after what was asked is durable. A job that is not the
// asker's to see is answered like one that is not there.
struct Ask {
  ControlRequest request{};
  Asker asker{};
  std::function<void(ControlReply)> answer{};
};
// No more jobs are begun, those that run stop at their next steps; `drained` is called when they
// have.
struct DrainHead {
  std::function<void()> drained{};
};
struct JobRecorded {
  uint64_t job = 0;
  Status status = ok();
  bool was_tried = true;  // By the store; what it refused at once is certainly not there.
};
struct EpochBegun {
  uint64_t job = 0;
  Result<uint64_t> epoch = uint64_t{0};
};
struct RunPrepared {
  uint64_t job = 0;
  Result<std::shared_ptr<RunSetup>> setup = std::shared_ptr<RunSetup>{};
};
struct RunFinished {
  RunResult result{};
};
struct RunResized {
  uint64_t job = 0;
  uint64_t number = 0;
};

// ---- Of hosts. A host is there, or there again, with what it has.
struct HostUp {
  std::string host{};
  uint32_t slots = 0;
  SlotKind kind = SlotKind::kCores;
};
// Nothing is heard of it; it may come back with what runs there.
struct HostAway {
  std::string host{};
};
// It is about to go: nothing new goes there, and what is there leaves.
struct HostLeaves {
  std::string host{};
};
// What ran there does not run any more.
struct HostGone {
  std::string host{};
};

// A job of the store, and the epoch of its last writer; 0 where it will not be written again.
struct KnownJob {
  JobRecord record{};
  uint64_t epoch = 0;
};

using SchedulerActor =
    caf::typed_actor<caf::reacts_to<Ask>, caf::reacts_to<DrainHead>, caf::reacts_to<JobRecorded>,
                     caf::reacts_to<EpochBegun>, caf::reacts_to<RunPrepared>,
                     caf::reacts_to<RunFinished>, caf::reacts_to<RunResized>,
                     caf::reacts_to<HostUp>, caf::reacts_to<HostAway>, caf::reacts_to<HostLeaves>,
                     caf::reacts_to<HostGone>, caf::reacts_to<caf::tick_atom>>;

class SchedulerState {
 public:
  static inline const char* name = "scheduler";

  void begin(SchedulerActor::pointer self, SchedulerActor address, const HeadContext* head,
             caf::actor hub, std::vector<KnownJob> jobs);

  void ask(const Ask& ask);
  void drain(const DrainHead& drain);
  void recorded(const JobRecorded& recorded);
  void epoch_begun(const EpochBegun& begun);
  void run_prepared(const RunPrepared& prepared);
  void run_finished(const RunFinished& finished);
  void run_resized(const RunResized& resized);
  void host_up(const HostUp& up);
  void host_away(const HostAway& away);
  void host_leaves(const HostLeaves& leaves);
  void host_gone(const HostGone& gone);
  void tick();

 private:
  struct Job {
    JobRecord record{};
    uint64_t epoch = 0;
    std::shared_ptr<RunGauge> gauge{};
    double money = 0;
    // What a running job was asked to become. Recorded at once, so that a head that is killed
    // before the step is done has not forgotten it.
    std::optional<JobState> wish{};
  };
  // A job between its beginning and its end.
  struct Running {
    ClusterQueue::Nodes nodes{};
    RunActor run{};  // Once it is prepared.
    std::optional<JobState> stop_when_begun{};
    bool is_beginning = true;  // Its epoch is not known yet.
    // Whoever asked for what began the job: answered with the first record of its new epoch.
    std::vector<std::function<void(ControlReply)>> begin_answers{};
  };
  // A record on its way into the store, and who waits for it.
  struct Writing {
    uint64_t job = 0;
    JobRecord record{};
    std::vector<std::function<void(ControlReply)>> answers{};
  };

  using Verb = Status (ClusterQueue::*)(uint64_t);

  void submit(const SubmitJob& submit, const Asker& asker,
              std::function<void(ControlReply)> answer);
  void change(uint64_t job, Verb verb, std::function<void(ControlReply)> answer);
  void write(uint64_t job, std::function<void(ControlReply)> answer = {},
             WhenFull when_full = WhenFull::kWait);
  void make_forgotten(uint64_t refused);
  void obey_queue();
  void obey(const ClusterQueue::Start& start);
  void obey(const ClusterQueue::Resize& resize);
  void obey(const ClusterQueue::Stop& stop);
  void obey(const ClusterQueue::Changed& changed);
  void end_run(uint64_t job, JobState state, const std::string& message);
  void change_host(const Ask& ask, const std::string& host,
                   Status (ClusterQueue::*verb)(const std::string&));
  ControlReply hosts_for(const Asker& asker, const std::string& only) const;
  std::string why(const Job& job) const;
  JobSummary summary(const Job& job) const;
  void finish_draining();

  SchedulerActor::pointer self_ = nullptr;
  SchedulerActor address_{};
  const HeadContext* head_ = nullptr;
  caf::actor hub_{};
  std::optional<ClusterQueue> queue_{};  // From begin() on.
  std::map<uint64_t, Job> jobs_{};
  std::map<std::pair<std::string, std::string>, uint64_t> by_request_{};  // Owner and request id.
  std::deque<Writing> writing_{};
  std::map<uint64_t, Running> running_{};
  std::function<void()> drained_{};
};

SchedulerActor::behavior_type scheduler_actor(SchedulerActor::stateful_pointer<SchedulerState> self,
                                              const HeadContext* head, caf::actor hub,
                                              std::vector<KnownJob> jobs);

}  // namespace troupe::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::Ask)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::DrainHead)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::JobRecorded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::EpochBegun)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::RunPrepared)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::RunFinished)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::RunResized)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::HostUp)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::HostAway)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::HostLeaves)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::HostGone)

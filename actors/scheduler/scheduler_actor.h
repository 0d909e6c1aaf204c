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
#include "actors/scheduler/job_queue.h"
#include "schemas/control.h"

namespace troupe::actors {

// `answer` is called once, from any thread, after what was asked is durable. A job that is not the
// asker's to see is answered like one that is not there.
struct Ask {
  ControlRequest request{};
  Asker asker{};
  std::function<void(ControlReply)> answer{};
};
// No more jobs are begun, the running one stops at its next step; `drained` is called when it has.
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

// A job of the store, and the epoch of its last writer; 0 where it will not be written again.
struct KnownJob {
  JobRecord record{};
  uint64_t epoch = 0;
};

using SchedulerActor = caf::typed_actor<caf::reacts_to<Ask>, caf::reacts_to<DrainHead>,
                                        caf::reacts_to<JobRecorded>, caf::reacts_to<EpochBegun>,
                                        caf::reacts_to<RunPrepared>, caf::reacts_to<RunFinished>>;

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
  // A record on its way into the store, and who waits for it.
  struct Writing {
    uint64_t job = 0;
    JobRecord record{};
    std::vector<std::function<void(ControlReply)>> answers{};
  };

  void submit(const SubmitJob& submit, const std::string& owner,
              std::function<void(ControlReply)> answer);
  void change(uint64_t job, Status (JobQueue::*verb)(uint64_t),
              std::function<void(ControlReply)> answer);
  void write(uint64_t job, std::function<void(ControlReply)> answer = {},
             WhenFull when_full = WhenFull::kWait);
  void make_forgotten(uint64_t refused);
  void obey_queue();
  void start_run(uint64_t job);
  void end_run(uint64_t job, JobState state, const std::string& message);
  JobSummary summary(const Job& job) const;
  void finish_draining();

  SchedulerActor::pointer self_ = nullptr;
  SchedulerActor address_{};
  const HeadContext* head_ = nullptr;
  caf::actor hub_{};
  JobQueue queue_{};
  std::map<uint64_t, Job> jobs_{};
  std::map<std::pair<std::string, std::string>, uint64_t> by_request_{};  // Owner and request id.
  std::deque<Writing> writing_{};
  uint64_t running_ = 0;
  RunActor run_{};
  std::optional<JobState> stop_when_begun_{};
  // Whoever asked for what began the job: answered with the first record of its new epoch.
  std::vector<std::function<void(ControlReply)>> begin_answers_{};
  bool is_beginning_ = false;  // Between start_run and epoch_begun.
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

// One job under way as an actor: messages in, JobRun's events; JobRun's ports, messages out.
#pragma once

#include <caf/all.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "actors/controller/job_run.h"
#include "actors/head_context.h"
#include "actors/job/checkpoints.h"
#include "actors/replay/job_history.h"
#include "schemas/envelope.h"

namespace troupe::actors {

// A worker's message, from the hub.
struct PeerSaid {
  caf::strong_actor_ptr peer{};
  Envelope envelope{};
};
struct WorkerProcessStarted {
  uint32_t slot = 0;
  std::string token{};
  uint64_t pid = 0;
  std::string failure{};  // Not empty: it was not started.
};
struct WorkerProcessEnded {
  ProcessEnd end{};
};
struct BatchCommitted {
  uint64_t ticket = 0;
  Status status = ok();
};
struct RoundRead {
  Round round{};
  Result<RoundHistory> history = RoundHistory{};
};
struct StopRun {
  JobState state = JobState::kPaused;
};
// Where each slot is from now on. Answered by RunSetup::resized once nothing runs any more where a
// slot was before.
struct ResizeRun {
  uint64_t number = 0;
  std::vector<std::string> nodes{};
};

using RunActor = caf::typed_actor<
    caf::reacts_to<PeerSaid>, caf::reacts_to<WorkerProcessStarted>,
    caf::reacts_to<WorkerProcessEnded>, caf::reacts_to<BatchCommitted>, caf::reacts_to<RoundRead>,
    // Ends at the next step's boundary.
    caf::reacts_to<StopRun>, caf::reacts_to<ResizeRun>, caf::reacts_to<caf::tick_atom>>;

// How a run ended.
struct RunResult {
  uint64_t job = 0;
  JobState state = JobState::kFinished;
  Error error{};
  uint64_t steps_done = 0;
  std::string weights_sha256{};
  std::string checkpoint{};
  Ledger ledger{};
};

// What others may look at while it runs.
struct RunGauge {
  std::atomic<uint64_t> steps_done{0};
  std::atomic<double> money{0};
};

struct RunSetup {
  const HeadContext* head = nullptr;
  JobRecord record{};
  uint64_t epoch = 0;
  PreparedJob prepared{};
  JobHistory history{};
  std::vector<std::string> nodes{};  // Where each slot is, by the host's name; empty: nowhere.
  std::shared_ptr<MetricsSink> sink{};
  std::shared_ptr<RunGauge> gauge = std::make_shared<RunGauge>();
  std::function<void(RunResult)> ended{};          // Called once, from the actor's thread.
  std::function<void(uint64_t number)> resized{};  // The same, after each ResizeRun, in order.
};

class RunState : public RunPorts {
 public:
  static inline const char* name = "run";

  // Called once, before anything else.
  void begin(RunActor::pointer self, RunActor address, std::shared_ptr<RunSetup> setup);

  void peer_said(const PeerSaid& said);
  void peer_down(const caf::actor_addr& peer);
  void process_started(const WorkerProcessStarted& started);
  void process_ended(const WorkerProcessEnded& ended);
  void batch_committed(const BatchCommitted& committed);
  void round_read(RoundRead& read);
  void stop(JobState state);
  void resize(const ResizeRun& resize);
  void tick();

  void start_worker(uint32_t slot) override;
  void kill_worker(uint32_t slot, uint64_t pid) override;
  void send(const pool::Send& message) override;
  void commit(uint64_t ticket, Batch batch) override;
  void load_round(Round round) override;
  std::string begin_point(PolicyVersion version) override;
  Result<PointRecord> finish_point(const PointWritten& written) override;
  std::string point_path(const PointRecord& point) override;
  void forget_point(const PointRecord& point) override;
  void keep_best(const PointRecord& point) override;
  Result<std::string> take_policy(const PointRecord& point, PolicyVersion version) override;
  void remove_policy(const std::string& path) override;

 private:
  struct Peer {
    caf::strong_actor_ptr actor{};
    uint32_t slot = 0;
    std::string waits_for{};  // Room on a disk; empty: it works.
  };
  // One of a slot, by its token; it has no id until it is known to have started.
  struct Process {
    uint32_t slot = 0;
    uint64_t pid = 0;
  };
  struct Resizing {
    uint64_t number = 0;
    std::set<std::string> leaving{};  // Tokens.
  };
  std::string team_folder() const;
  std::string node_of(uint32_t slot) const;
  std::string other_host(const std::string& node) const;
  Result<std::vector<std::string>> team_addresses(uint32_t num_ranks) const;
  void submit_waiting();
  void note_full_disk();
  void note_waiting(Peer& peer, const Heartbeat& heartbeat);
  void answer_resizes();
  void finish_if_ended();

  RunActor::pointer self_ = nullptr;
  RunActor address_{};
  std::shared_ptr<RunSetup> setup_{};
  std::optional<Checkpoints> checkpoints_{};
  std::unique_ptr<JobRun> run_{};
  std::set<uint64_t> started_{};                      // Process ids that the run knows.
  std::map<std::string, Process> processes_{};        // Of this run, that have not ended.
  std::deque<Resizing> resizing_{};                   // Not answered yet, in order.
  std::map<uint64_t, Peer> peers_{};                  // By the epoch of their lease.
  caf::strong_actor_ptr greeting_{};                  // Who says hello right now.
  std::deque<std::pair<uint64_t, Batch>> waiting_{};  // The store was full.
  std::vector<Round> loading_{};                      // To be read behind what waits.
  bool waits_for_disk_ = false;                       // The store does.
};

// An actor that throws would be gone in silence, and everybody would wait for it: better the
// process ends and the next head goes on.
template <class Self>
void stop_on_exception(Self* self) {
  self->set_exception_handler([self](std::exception_ptr& pointer) -> caf::error {
    try {
      std::rethrow_exception(pointer);
    } catch (const std::exception& exception) {
      std::fprintf(stderr, "%s: %s\n", self->name(), exception.what());
    } catch (...) {
    }
    std::abort();
  });
}

RunActor::behavior_type run_actor(RunActor::stateful_pointer<RunState> self,
                                  std::shared_ptr<RunSetup> setup);

}  // namespace troupe::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::PeerSaid)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::WorkerProcessStarted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::WorkerProcessEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::BatchCommitted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::RoundRead)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::StopRun)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::ResizeRun)

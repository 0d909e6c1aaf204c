// The workers of one job as a state machine: which processes there should be, who is alive, who has
// which work, and what becomes of work whose worker is lost.
//
//   slot:  down ──start──▶ starting ──hello──▶ leasing ──ready──▶ ready
//            ▲                 │                  │                 │
//            └──── back-off ◀──┴── exit, silence, deadline ◀────────┘
//
// A process gets a lease with an epoch of its own. What comes from an older epoch is dropped, so
// that a worker that was declared lost cannot act any more, whatever it still does.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "actors/slot_host.h"
#include "schemas/work.h"

namespace troupe::actors {

struct SlotPlan {
  Roles roles{};
  uint32_t rollout_threads = 1;
  uint32_t learner_threads = 1;
  uint32_t verifier_threads = 1;
};

// Slots = max(rollout, learner) where they are colocated, and one for each verifier: slot i has
// each role whose count exceeds i.
std::vector<SlotPlan> plan_slots(const JobSpec& job, int rollout_threads, int learner_threads,
                                 int verifier_threads, int verifier_workers);

// What is to be done, and what the controller is told.
namespace pool {

struct Start {
  uint32_t slot = 0;
};
struct Kill {
  uint32_t slot = 0;
  uint64_t pid = 0;
};
struct Send {
  uint32_t slot = 0;
  uint64_t epoch = 0;
  uint64_t request_id = 0;
  int64_t deadline_ms = 0;
  ToWorker message{};
};
struct LearnerReady {
  WorkerReady ready{};
};
struct LearnerLost {};
struct WorkerLost {
  uint32_t slot = 0;
};
struct GroupRetried {
  AttemptRecord record{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  double core_seconds = 0;  // Of the attempt that was lost, shared among its groups.
};
struct GroupAbandoned {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  std::string reason{};
};
// A policy file that nobody reads any more.
struct RemoveFile {
  std::string path{};
};
// An answer to work that was given out, once, from the worker that has it.
struct Answer {
  FromWorker message{};
};
struct Note {
  std::string line{};
};
// The job cannot go on (kFailed) or should wait for a person (kPaused).
struct GiveUp {
  JobState state = JobState::kFailed;
  Error error{};
};

}  // namespace pool

using PoolCommand =
    std::variant<pool::Start, pool::Kill, pool::Send, pool::LearnerReady, pool::LearnerLost,
                 pool::WorkerLost, pool::GroupRetried, pool::GroupAbandoned, pool::RemoveFile,
                 pool::Answer, pool::Note, pool::GiveUp>;

class WorkerPool {
 public:
  struct Options {
    uint64_t first_epoch = 1;  // Leases of different heads never share an epoch.
    std::string arithmetic_id = "cpu-1";
    // Seconds.
    double silence_max = 2.0;   // Without a heartbeat: frozen.
    double start_max = 60;      // Until a new process says hello, or a policy is loaded.
    double prepare_max = 3600;  // Until a lease is taken.
    double generate_max = 3600;
    double judge_max = 60;          // Of what a verifier does at once ...
    double judge_each_max = 0;      // ... and for each response more, where it waits for programs.
    double disconnected_max = 0.5;  // Until the end of a process that has gone silent is known.
    double learn_max = 3600;
    double back_off_first = 0.25;  // After the second loss in a row, then doubled.
    double back_off_max = 10;
    // A group is dropped after so many losses by its workers' own fault, and pauses the job after
    // so many kills from outside in a row.
    uint32_t faults_max = 3;
    uint32_t kills_max = 20;
    uint32_t learner_faults_max = 3;  // In a row, without a step between.
    uint32_t starts_max = 10;  // A slot that does not come up so often in a row pauses the job.
    // Bounds of one request.
    size_t share_max = 4096;  // Groups to generate.
    size_t judge_batch = 64;  // Groups to judge.
    size_t judge_bytes = 64 << 20;
    std::string log_path{};  // Where the last words of a worker are, for messages.
  };

  // The lease is what every worker gets; slot, roles, threads and point are filled in.
  WorkerPool(std::vector<SlotPlan> slots, Lease lease, Options options);

  // ---- What has happened. Times are seconds of any one clock.
  void start(double now);
  // What was counted before this head began.
  void restore_attempts(const std::vector<AttemptRecord>& attempts);
  void started(uint32_t slot, std::string token, uint64_t pid, double now);
  void start_failed(uint32_t slot, const std::string& reason, double now);
  // Returns the lease's epoch; nothing when the sender is not who it says it is.
  std::optional<uint64_t> hello(const Hello& hello, double now);
  void received(uint32_t slot, uint64_t epoch, uint64_t request_id, FromWorker message, double now);
  void ended(const ProcessEnd& end, double now);
  void disconnected(uint32_t slot, uint64_t epoch, double now);
  void tick(double now);

  // ---- What is wanted. The order of learner requests is kept.
  void learn(LearnStep step, double now);
  // With older versions that the point is to hold; each is published, or asked for.
  void save_point(PolicyVersion version, std::string folder,
                  const std::vector<PolicyVersion>& policies, double now);
  // The learner's current version, which some of what is wanted will be generated by, as a file for
  // rollouts without a learner. It is there until it is retired.
  void publish(PolicyVersion version, double now);
  bool has_policy(PolicyVersion version) const { return published_.count(version) > 0; }
  // A file with a version that a recovery point held.
  void adopt_policy(PolicyPublished policy);
  // Nobody will ask for versions before this one again.
  void retire_policies(PolicyVersion before);
  // Groups of one purpose and round. Evaluations come first, then the older round.
  void generate(GenerateGroups request, double now);
  void judge(GroupToJudge group, double now);
  // Generation and verification; answers are not wanted any more.
  void cancel_groups(double now);
  void cancel_evaluation(double now);
  // What a new learner starts from.
  void set_point(std::string path, PointRecord point);
  void set_policies_folder(std::string folder) { policies_folder_ = std::move(folder); }
  void shut_down(double now);

  std::vector<PoolCommand> take_commands();

  // For people: what each slot is and does, and queue depths.
  void describe(RunSample& sample, double now);

 private:
  enum class State { kDown, kStarting, kLeasing, kReady };
  enum class Loss { kFault, kKilled };

  using GroupKey = std::tuple<uint64_t, uint32_t, GroupPurpose>;

  // Groups that are generated by one version and in one way, in the order of their keys.
  struct Wanted {
    GenerateGroups request{};  // Without its groups.
    std::deque<PromptGroup> waiting{};
    size_t share = 1;  // Groups that a rollout gets at once.
  };
  using WantedKey = std::pair<bool, uint64_t>;  // Is for training; round or version.
  static WantedKey wanted_key(const PromptGroup& group) {
    return {group.purpose == GroupPurpose::kTrain, number(group.id.round)};
  }

  struct Slot {
    SlotPlan plan{};
    State state = State::kDown;
    std::string token{};
    uint64_t pid = 0;
    uint64_t epoch = 0;
    double since = 0;  // Of the state.
    double heard = 0;
    double retry_at = 0;
    std::optional<double> disconnected_at{};
    uint32_t losses_in_a_row = 0;
    bool is_asked_to_start = false;
    std::string last_loss{};
    // Rollout.
    std::optional<PolicyVersion> loaded{};
    std::optional<PolicyVersion> loading{};
    double loading_since = 0;
    uint64_t generation = 0;  // Request under way; 0: none.
    WantedKey generating_from{};
    double generation_since = 0;
    std::map<GroupKey, PromptGroup> generating{};
    int64_t sequences_done = 0, sequences_total = 0;
    // Verifier.
    uint64_t judgement = 0;
    double judgement_since = 0;
    double judgement_max = 0;
    std::vector<GroupToJudge> judging{};
    // Learner: requests in their order.
    std::deque<std::pair<uint64_t, std::string>> learning{};
    double learning_since = 0;  // Of the first.
    // Busy seconds by role since the last sample.
    double rollout_busy = 0, verifier_busy = 0, learner_busy = 0;
    double rollout_from = 0, verifier_from = 0, learner_from = 0;
  };

  struct Tries {
    uint32_t faults = 0;
    uint32_t kills = 0;
  };

  static GroupKey key_of(GroupId id, GroupPurpose purpose) {
    return {number(id.round), id.ordinal, purpose};
  }
  Slot* learner_slot();
  void start_slot(uint32_t index, double now);
  uint32_t faults_of(GroupId id, GroupPurpose purpose) const;
  void lose(uint32_t index, Loss loss, const std::string& why, double now);
  bool count_loss(GroupId id, GroupPurpose purpose, Loss loss, double core_seconds,
                  const std::string& why);
  void send(uint32_t index, uint64_t request_id, double patience, ToWorker message);
  void send_to_learner(ToWorker message, std::string what, double now);
  std::string policy_path(PolicyVersion version);
  bool holds(const Slot& slot, PolicyVersion version) const;
  void stop_generation(uint32_t index, double now);
  void remove_retired();
  void forget_wanted();
  void dispatch(double now);
  void dispatch_generation(uint32_t index, double now);
  void dispatch_judgement(uint32_t index, double now);
  bool is_for_another(uint32_t index, const GroupToJudge& group) const;
  double judge_seconds(uint32_t index, size_t num_responses) const;
  void note(std::string line) { commands_.push_back(pool::Note{std::move(line)}); }
  std::string title(uint32_t index) const;

  std::vector<Slot> slots_;
  Lease lease_;
  const Options options_;
  std::string policies_folder_{};
  uint64_t next_epoch_;
  uint64_t next_request_ = 1;
  bool is_shut_down_ = false;
  // Since a step was learned for the first time.
  uint32_t learner_faults_ = 0, learner_kills_ = 0;
  uint64_t learned_max_ = 0;

  std::map<WantedKey, Wanted> wanted_{};
  std::deque<GroupToJudge> to_judge_{};
  // Whose verifier failed at a group: it is to be judged elsewhere.
  std::map<GroupKey, uint32_t> failed_at_{};
  std::map<GroupKey, Tries> tries_{};
  std::optional<PolicyVersion> learner_version_{};
  std::map<PolicyVersion, PolicyPublished> published_{};
  std::set<PolicyVersion> publishing_{};  // The learner has been asked.
  PolicyVersion retired_before_{};
  double sampled_at_ = 0;
  double ticked_at_ = 0;
  int64_t verdicts_since_sample_ = 0;
  std::vector<PoolCommand> commands_{};
};

}  // namespace troupe::actors

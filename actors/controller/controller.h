// The training loop of one job as a state machine:
//
//   generate ──▶ verify ──▶ admit ──▶ learn ──▶ commit ──▶ publish
//
// It hears what has happened and says what is to be done; who does it, where and how often it has
// to be tried is not known here. It has no clock, threads, files or messages. The history of a job
// is a function of the job, its data and its verdicts: in which order and how often events come
// does not reach it.
//
// A learner that is lost comes back at a recovery point. Everything from there on is said again,
// from the demonstrations and from the groups that the store has, and must give the same bits. A
// controller that begins with a store that has a history goes the same way.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "actors/controller/job_data.h"
#include "actors/controller/round_plan.h"
#include "actors/controller/sft_plan.h"
#include "actors/metrics_sink.h"
#include "actors/replay/replay_store.h"
#include "model/data/dataset.h"
#include "schemas/records.h"
#include "schemas/work.h"

namespace troupe::actors {

// What the store knows of a job when its controller begins.
struct RunHistory {
  std::vector<PointRecord> points{};  // Oldest first; all verified.
  std::vector<StepRecord> steps{};    // Oldest first; at least those after the last point.
  std::vector<EvaluationRecord> evaluations{};  // Oldest first.
  Ledger ledger{};
};

// What is to be done.
namespace command {

struct Learn {
  LearnStep step{};
};
struct Generate {
  GenerateGroups groups{};
};
struct CancelGeneration {};  // And verification: their results are not wanted any more.
struct Judge {
  GroupToJudge group{};
};
struct SavePoint {
  PolicyVersion version{};
};
// Tickets are 1, 2, ...; answered in order by committed().
struct Commit {
  uint64_t ticket = 0;
  Batch batch{};
};
// Answered by round_loaded() once everything that was committed before can be seen.
struct LoadRound {
  Round round{};
};
// Checkpoints that no recovery needs.
struct ForgetPoint {
  PointRecord point{};
};
// The last command. `state` is finished, failed, paused or cancelled.
struct End {
  JobState state = JobState::kFinished;
  Error error{};  // Why, for what nobody asked for.
};

}  // namespace command

using ControllerCommand = std::variant<command::Learn, command::Generate, command::CancelGeneration,
                                       command::Judge, command::SavePoint, command::Commit,
                                       command::LoadRound, command::ForgetPoint, command::End>;

class Controller {
 public:
  struct Options {
    uint64_t job_id = 0;
    uint64_t epoch = 0;
    bool saves_points = true;
  };

  // `job`, `data` and `sink` outlive the controller. What the sink is told of steps and evaluations
  // is durable by then. Times are seconds of any one clock.
  Controller(const JobSpec& job, const JobData& data, RunHistory history, Options options,
             MetricsSink& sink);

  // The point that a learner is to start from; none: fresh weights, version 0. It may be on its way
  // into the store: whatever the learner does from there is recorded after it.
  std::optional<PointRecord> start_point() const;

  // ---- What has happened.
  void learner_ready(PolicyVersion version, double now);
  void learner_lost();
  void step_learned(const StepLearned& learned, double now);
  void point_saved(const PointRecord& point, double core_seconds, double now);
  void groups_generated(const GroupsGenerated& generated, double now);
  void groups_judged(const GroupsJudged& judged, double now);
  // Work on a group was lost and begins again; `record` counts how often.
  void group_retried(const AttemptRecord& record, double core_seconds);
  // A group was lost too often.
  void group_abandoned(GroupId id, GroupPurpose purpose, const std::string& reason, double now);
  void worker_lost();
  void committed(uint64_t ticket, double now);
  void round_loaded(Round round, std::vector<GroupRecord> groups,
                    const std::vector<DropRecord>& drops, bool was_begun, double now);
  // Ends with a recovery point at the next boundary that may have one: of a step, or of a round
  // with an off-policy correction.
  void stop(JobState state, double now);
  // Ends when what was committed is durable.
  void fail(Error error);
  // Ends at once: the store cannot be written to.
  void abort(Error error);

  // What is to be done since the last call, in order.
  std::vector<ControllerCommand> take_commands();

  PolicyVersion version() const { return version_learned_; }
  const Ledger& ledger() const { return ledger_; }
  const std::vector<EvaluationRecord>& evaluations() const { return evaluations_; }
  // Queue depths and the ledger; the workers are somebody else's.
  RunSample sample() const;

 private:
  const model::Tokenizer& tokenizer() const { return data_.format.tokenizer; }

  // Where a group of the current round, or a problem of the current evaluation, is.
  enum class Place { kWanted, kGenerating, kJudging, kCommitting, kDurable };

  struct Group {
    Place place = Place::kWanted;
    int infra_errors = 0;
    bool is_again = false;  // It had been begun before.
    GroupRecord record{};
    std::vector<std::byte> encoded{};
    bool has_variance = false;
    bool is_dropped = false;  // For a reason of its own, not for its rewards.
  };

  struct RoundState {
    Round round{};
    bool is_loaded = false;
    RoundPlan plan;
    std::map<uint32_t, Group> groups{};  // By ordinal.
    StepMetrics metrics{};  // The fields that belong to the round, once it is complete.
    bool has_metrics = false;
    bool was_begun = false;
    double asked_at = 0;
    double generate_seconds = 0;
    double verify_seconds = 0;
    int64_t sequences_generated = 0, sequences_total = 0;
  };

  struct EvaluationState {
    PolicyVersion version{};
    bool is_gate = false;
    double temperature = 0;
    double begun_at = 0;
    std::vector<std::optional<SampledResponse>> responses{};
    std::vector<std::optional<Verdict>> verdicts{};
    std::set<size_t> left_out{};
    std::map<size_t, int> infra_errors{};  // Of a problem.
    size_t num_judged = 0;
    bool is_committing = false;
  };

  struct Pending {  // A commit under way and what people are told when it is durable.
    std::optional<StepMetrics> step{};
    std::optional<EvaluationRecord> evaluation{};
    std::optional<uint32_t> ordinal{};  // A group of round `round`.
    Round round{};
    uint64_t generation = 0;  // Of learner_lost(): a group committed before it is loaded again.
    std::optional<PointRecord> point{};
  };

  uint64_t sft_steps() const { return static_cast<uint64_t>(job_.sft.steps); }
  uint64_t last_version() const { return static_cast<uint64_t>(job_.sft.steps + job_.grpo.steps); }
  bool is_over() const { return is_ended_ || is_ending_; }
  bool is_evaluation_due(uint64_t version) const;
  bool is_point_due(uint64_t version) const;
  uint64_t point_stride() const;
  bool may_have_point(uint64_t version) const;
  const EvaluationRecord* find_evaluation(uint64_t version, bool is_gate) const;
  bool is_evaluation_pending() const;
  bool has_point(uint64_t version) const;
  std::vector<PointRecord> known_points() const;

  void advance(double now);
  bool advance_sft(double now);    // True when there may be more to do at once.
  bool advance_round(double now);  // Likewise.
  void begin_evaluation(uint64_t version, bool is_gate, double now);
  void finish_evaluation(double now);
  void request_groups(double now);
  void admit(uint32_t ordinal);
  void complete_round_metrics();
  void send_step(LearnStep step);
  void save_point(uint64_t version);
  LearnStep minibatch_step(int64_t minibatch);
  void commit(Batch batch, Pending pending);
  Batch batch_with_ledger();
  void evaluation_judged(size_t index, const Verdict& verdict);
  void leave_out(size_t index, const std::string& reason);
  void drop_group(uint32_t ordinal, const std::string& reason);
  void judge(GroupId id, GroupPurpose purpose, const PromptTokens& prompt,
             std::vector<TextToJudge> responses);
  Trajectory make_trajectory(GroupId id, uint32_t sample, PolicyVersion version,
                             const SampledResponse& response) const;
  const PromptTokens& prompt_of(GroupId id) const;
  bool take_over(const StepLearned& learned);
  void end(JobState state, Error error = {});

  const JobSpec& job_;
  const JobData& data_;
  const Options options_;
  MetricsSink& sink_;
  mutable std::optional<model::PromptOrder> prompt_order_{};

  bool is_learner_ready_ = false;
  uint64_t version_sent_ = 0;
  PolicyVersion version_learned_{};
  uint64_t frontier_ = 0;  // The last step whose record was committed.
  // What the steps after the oldest recovery point gave, to be given again.
  std::map<uint64_t, StepMetrics> recorded_{};
  std::optional<SftPlan> sft_{};
  std::optional<RoundState> round_{};
  std::optional<EvaluationState> evaluation_{};
  std::vector<EvaluationRecord> evaluations_{};
  std::vector<PointRecord> points_{};  // Durable, oldest first.
  std::optional<uint64_t> point_asked_{};
  std::map<uint64_t, std::vector<GroupId>> consumed_{};  // Of steps under way, by version.
  int64_t non_finite_in_a_row_ = 0;
  uint64_t generation_ = 0;
  Ledger ledger_{};

  uint64_t next_ticket_ = 1;
  std::deque<std::pair<uint64_t, Pending>> pending_{};
  std::optional<JobState> stopping_{};
  bool is_ending_ = false;  // Waits for the last commits.
  command::End end_{};
  bool is_ended_ = false;
  std::vector<ControllerCommand> commands_{};
};

}  // namespace troupe::actors

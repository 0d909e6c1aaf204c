// A head, its workers, its store and its user under one clock: in one file, because each of them
// acts on all others.
//
// The decisions are the real ones (ClusterQueue, JobRun with Controller and WorkerPool,
// load_history and load_round); processes, connections, the disk and what is computed are played.
// Everything that can go wrong does: workers are killed, exit, freeze, hang, do not start and say
// things after they were given up, connections stall, ranks of a learner cannot reach each other,
// recovery points are damaged, and the head goes with all that it had not made durable, while
// workers that do not learn go on and wait for the next one.
//
// A learner is a team of ranks, of another number each time that a job is gone on with.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/controller/job_run.h"
#include "actors/lease_numbers.h"
#include "actors/replay/job_history.h"
#include "actors/rollout/kept_groups.h"
#include "actors/scheduler/cluster_queue.h"
#include "actors/verifier/verifier_role.h"
#include "actors/worker/executor.h"
#include "tests/sim/fake_compute.h"
#include "tests/sim/simulated_clock.h"
#include "tests/sim/store_model.h"

namespace troupe::tests {

// What must be the same however a job went.
struct Outcome {
  std::string weights{};
  std::vector<uint64_t> steps{};  // A digest of each step's record.
  std::vector<GroupId> learned{};
  std::vector<uint64_t> evaluations{};
  int64_t tokens_generated = 0, tokens_learned = 0;
  int64_t trajectories_generated = 0, trajectories_learned = 0;
  std::map<std::string, int64_t> dropped{}, verdicts{};
  bool operator==(const Outcome&) const = default;
};

// What happened, so that a test can tell that something did.
struct Counts {
  uint64_t kills = 0, fault_exits = 0, freezes = 0, hangs = 0, stalls = 0, start_failures = 0;
  uint64_t partitions = 0;
  uint64_t head_crashes = 0, lost_commits = 0, lost_messages = 0, damaged_points = 0;
  uint64_t stale_messages = 0, stale_hellos = 0, repeated_messages = 0;
  uint64_t policies_removed = 0, policies_restored = 0, poisonings = 0, wrong_steps = 0;
  uint64_t switches = 0;      // Groups that were begun by one version and finished by another.
  uint64_t trained = 0;       // Groups that were asked for to be learned.
  uint64_t overlaps = 0;      // Rounds of which some was generated while the learner was at work.
  uint64_t survivors = 0;     // Workers that have outlived a head and were told of by the next.
  uint64_t other_leases = 0;  // Of which some were to do something else.
  uint64_t kept_groups = 0;   // That they had in hand and the next head asked for.
  uint64_t segments = 0;      // Parts of responses that were told.
  uint64_t tokens_kept = 0;   // That somebody else went on from.
  uint64_t steps_redone = 0, groups_again = 0, trajectories_learned = 0;
  uint64_t places_changed = 0;  // Slots lent, taken back and moved.
  uint64_t pauses = 0, cancels = 0, jobs_finished = 0, jobs_failed = 0, groups_abandoned = 0;
  // Of learners of several ranks.
  uint64_t team_steps = 0;            // That all ranks have learned.
  uint64_t ranks_lost_forming = 0;    // While their team was not ready.
  uint64_t ranks_lost_in_step = 0;    // Others waited for them.
  uint64_t ranks_frozen_in_step = 0;  //
  uint64_t ranks_lost_saving = 0;     // A file of a recovery point was half written.
  uint64_t ranks_unreachable = 0;     // For another, and both were alive.
  uint64_t old_meetings = 0;          // That ranks took part in whose team was over.
  uint64_t ranks_stale = 0;           // Said something when their team was over.
  uint64_t points_regrouped = 0;      // Written by another number of ranks than read them.
  uint64_t ranks_differed = 0;        // In what a step came to.
  double simulated_seconds = 0;

  void add(const Counts& other) {
    kills += other.kills, fault_exits += other.fault_exits, freezes += other.freezes;
    hangs += other.hangs, stalls += other.stalls, start_failures += other.start_failures;
    partitions += other.partitions;
    head_crashes += other.head_crashes, lost_commits += other.lost_commits;
    lost_messages += other.lost_messages, damaged_points += other.damaged_points;
    stale_messages += other.stale_messages, stale_hellos += other.stale_hellos;
    repeated_messages += other.repeated_messages, policies_removed += other.policies_removed;
    policies_restored += other.policies_restored, overlaps += other.overlaps;
    switches += other.switches, trained += other.trained;
    other_leases += other.other_leases;
    survivors += other.survivors, kept_groups += other.kept_groups;
    segments += other.segments, tokens_kept += other.tokens_kept;
    poisonings += other.poisonings, wrong_steps += other.wrong_steps;
    steps_redone += other.steps_redone, groups_again += other.groups_again;
    trajectories_learned += other.trajectories_learned;
    places_changed += other.places_changed;
    pauses += other.pauses, cancels += other.cancels;
    jobs_finished += other.jobs_finished, jobs_failed += other.jobs_failed;
    groups_abandoned += other.groups_abandoned;
    team_steps += other.team_steps, ranks_lost_forming += other.ranks_lost_forming;
    ranks_lost_in_step += other.ranks_lost_in_step;
    ranks_frozen_in_step += other.ranks_frozen_in_step;
    ranks_lost_saving += other.ranks_lost_saving, ranks_unreachable += other.ranks_unreachable;
    ranks_stale += other.ranks_stale, points_regrouped += other.points_regrouped;
    ranks_differed += other.ranks_differed, old_meetings += other.old_meetings;
    simulated_seconds += other.simulated_seconds;
  }
};

struct Scenario {
  uint64_t seed = 0;
  std::vector<actors::PreparedJob> jobs{};
  bool varies_ranks = false;  // Of the learner, from run to run.
  double fault_period = 0;    // Seconds between faults, on average; 0: none.
  bool has_user = false;      // Who pauses, resumes and cancels.
  // Losses count, so groups may be dropped and jobs may fail. Otherwise they cannot, and a job must
  // end as an undisturbed one.
  bool is_harsh = false;
  // At this group every worker ends by its own fault, so that it is given up after a few.
  std::optional<GroupId> poison{};
  // No two processes compute the same bits: a job may fail by it, and must where it is seen.
  bool is_unsound = false;
  // What the first job's store has before it begins.
  std::vector<actors::StoredRecord> history{};
  bool prints = false;
};

class World : public actors::RunPorts {
 public:
  explicit World(Scenario scenario)
      : scenario_(std::move(scenario)), clock_(scenario_.seed, scenario_.prints), store_(clock_) {
    for (size_t i = 0; i < scenario_.jobs.size(); ++i) {
      store_.expect_job(i + 1, scenario_.jobs[i].job);
    }
    store_.restore(scenario_.history);
  }

  // Until every job has ended.
  void run() {
    boot();
    for (uint64_t id = 1; id <= scenario_.jobs.size(); ++id) {
      clock_.after(id == 1 ? 0 : clock_.uniform(0, 5), [this, id] {
        submitted_.insert(id);
        if (is_up_) submit(id);
      });
    }
    if (scenario_.fault_period > 0) next_fault();
    if (scenario_.has_user) next_wish();
    while (!is_done()) {
      require(clock_.now() < kSecondsMax, "the jobs do not come to an end");
      require(clock_.step(), "nothing happens any more");
    }
    counts_.simulated_seconds = clock_.now();
  }

  const Counts& counts() const { return counts_; }
  uint64_t digest() const { return clock_.digest(); }
  // What cannot be computed again of a job: its groups as they were, drops and evaluations.
  std::vector<actors::StoredRecord> history(uint64_t job) const { return store_.archive(job); }
  JobState state(uint64_t job) const { return queue_->state(job); }

  Outcome outcome(uint64_t job) const {
    Outcome outcome;
    for (const auto& one : store_.all(job, actors::RecordKind::kStep)) {
      const StepRecord record = *decode_step_record(one.value);
      const StepMetrics& m = record.metrics;
      uint64_t hash = mix(mix(bits_of(m.loss), bits_of(m.grad_norm)), bits_of(m.learning_rate));
      for (double value : {m.reward_mean, m.reward_std, m.accuracy, m.format_share,
                           m.response_length_mean, m.frac_reward_zero_std}) {
        hash = mix(hash, bits_of(value));
      }
      hash = mix(mix(hash, number(m.round)), static_cast<uint64_t>(m.stage_step));
      hash = mix(mix(hash, static_cast<uint64_t>(m.tokens_generated)), m.was_finite ? 1 : 0);
      outcome.steps.push_back(hash);
      outcome.learned.insert(outcome.learned.end(), record.consumed.begin(), record.consumed.end());
    }
    for (const auto& one : store_.all(job, actors::RecordKind::kEvaluation)) {
      const EvaluationRecord record = *decode_evaluation_record(one.value);
      uint64_t hash = mix(number(record.metrics.version), record.is_gate ? 1 : 0);
      hash = mix(hash, static_cast<uint64_t>(record.metrics.solved));
      hash = mix(hash, static_cast<uint64_t>(record.metrics.tokens_generated));
      for (const Trace& trace : record.traces) hash = mix(hash, trace.response.size());
      outcome.evaluations.push_back(hash);
    }
    const Ledger ledger = *decode_ledger(store_.value({job, actors::RecordKind::kLedger, 0, 0}));
    outcome.tokens_generated = ledger.tokens_generated;
    outcome.tokens_learned = ledger.tokens_learned;
    outcome.trajectories_generated = ledger.trajectories_generated;
    outcome.trajectories_learned = ledger.trajectories_learned;
    outcome.dropped = ledger.trajectories_dropped;
    outcome.verdicts = ledger.verdicts;
    outcome.weights = weights_.at(job);
    return outcome;
  }

 private:
  static constexpr double kSecondsMax = 3000;
  static constexpr actors::JobNeed kNeed{.slots = {.learner = 1, .required = 1}};
  static constexpr uint32_t kPoisonedMax = 3;  // Workers that a poisoned group may cost.
  static constexpr double kFaultsUntil = 25;   // So that every job can come to its end.
  static constexpr double kReconnectSeconds = 8;

  // Who has a file open writes to it, whatever becomes of its name.
  struct File {
    bool is_whole = false;
    bool is_damaged = false;
    std::optional<FakePart> part{};
    uint64_t weights = 0;  // Where it is no part.
    uint64_t digest() const {
      const uint64_t hash = part ? digest_of(*part) : weights;
      return is_damaged || !is_whole ? mix(hash, 1) : hash;
    }
  };
  struct Point {
    uint64_t job = 0;
    std::map<std::string, std::shared_ptr<File>> files{};
    std::vector<PointFile> listed{};  // In its manifest.
    std::string manifest{};           // The digest of that.
  };

  struct Process;
  using ProcessPointer = std::shared_ptr<Process>;

  // What the ranks of a team do together, one after another: each has it done once all have begun
  // it, and then has what they all have brought.
  using Done = std::function<void(const ProcessPointer&, const Pieces&)>;
  struct Meeting {
    std::string what{};
    Pieces pieces{};
    std::map<uint32_t, Done> ranks{};  // That have begun it.
  };
  // Ranks that can reach each other: those whom one epoch's keys were given to.
  struct FakeTeam {
    std::string token{};
    std::vector<uint64_t> pids{};  // By rank; 0: it has not taken its seat.
    std::map<uint64_t, Meeting> meetings{};
  };

  struct Process {
    uint64_t pid = 0;
    uint32_t slot = 0;
    uint64_t job = 0;
    uint64_t run = 0;
    std::string token{};
    uint64_t epoch = 0;         // Of its lease, as the head knows it ...
    uint64_t leased_epoch = 0;  // ... and as it knows it itself.
    bool is_alive = true;
    bool is_given_up = false;  // The head has asked for its end.
    bool is_hanging = false;   // Breathes and does nothing.
    bool lease_asks_to_learn = false;
    double frozen_until = 0;
    // What it holds.
    std::optional<Lease> lease{};
    FakeLearner learner{};
    // Of a rank of several.
    std::shared_ptr<FakeTeam> team{};
    uint64_t num_meetings = 0;
    bool is_at_meeting = false;
    bool is_apart = false;    // It cannot reach all others any more ...
    bool has_failed = false;  // ... and has found that out: it does nothing more, as LearnerRole.
    bool has_joined = false;
    bool is_ready = false;
    std::map<std::string, std::shared_ptr<File>> written{};  // Of a point: opened, not whole yet.
    std::optional<std::pair<PolicyVersion, uint64_t>> loaded{};
    actors::KeptGroups kept{};
    // Its executor.
    struct Request {
      uint64_t epoch = 0;
      uint64_t id = 0;
      ToWorker message{};
    };
    std::deque<Request> requests{};
    Request executing{};
    bool is_busy = false;
    bool is_generating = false;
    uint64_t cancelled = 0;
    uint64_t generation = 0;   // As the head knows it; 0: none, or cancelled.
    std::string loading{};     // The policy that it was told to load and has not.
    uint64_t poisoned_at = 0;  // The generation that it died of.
    // Its connection: when the last message of each direction arrives, and what is lost of it.
    double said_until = 0, told_until = 0;
    uint64_t said = 0, heard = 0, lost_from = UINT64_MAX;
    bool is_cut_off = false;
  };

  struct Run {
    uint64_t id = 0;
    uint64_t job = 0;
    uint64_t epoch = 0;
    actors::PreparedJob prepared{};
    std::unique_ptr<actors::JobRun> machine{};
    bool was_stopped = false;
    std::vector<bool> is_lent{}, places{};  // By slot.
    // Why it must fail, in words of which its end has one.
    std::vector<std::string> wrong{};
    // What the ranks of a team said of a step that not all have answered yet.
    std::map<std::pair<std::string, uint64_t>, std::map<uint32_t, StepLearned>> answers{};
  };

  class Sink : public actors::MetricsSink {
   public:
    explicit Sink(World& world) : world_(world) {}
    void run_started(const JobSpec&, std::string_view, int64_t) override {}
    void progressed(std::string_view, int64_t done, int64_t total) override {
      require(done >= 0 && done <= total, "more is done than there is");
    }
    void step_committed(const StepMetrics& step) override {
      const uint64_t version = number(step.version);
      require(world_.store_.has({world_.run_->job, actors::RecordKind::kStep, version, 0}),
              "a step was announced before it was durable");
      world_.clock_.trace("step", version);
    }
    void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>&) override {
      world_.clock_.trace("evaluated", number(evaluation.version));
    }
    void sampled(const RunSample&) override {}
    void noted(std::string_view line) override { world_.clock_.note(std::string(line)); }
    void run_ended(const Ledger&, std::string_view, std::string_view) override {}

   private:
    World& world_;
  };

  // ---- The head.

  // An event in the head, unless that head is gone by then.
  void in_head(double delay, std::function<void()> event) {
    clock_.after(delay, [this, incarnation = incarnation_, event = std::move(event)] {
      if (!is_up_ || incarnation != incarnation_) return;
      event();
      finish_if_ended();
    });
  }

  void boot() {
    ++incarnation_;
    is_up_ = true;
    clock_.trace("head up", incarnation_);
    queue_.emplace(actors::ClusterQueue::Options{});
    queue_->host_up("here", 1, /*is_elastic=*/true);
    records_.clear();
    epochs_.clear();
    expected_waiting_.clear();
    std::vector<uint64_t> waiting;
    for (uint64_t id : store_.jobs()) {
      records_[id] = *decode_job_record(store_.value({id, actors::RecordKind::kJob, 0, 0}));
      epochs_[id] = store_.epoch(id);
      const JobState state = records_[id].state;
      queue_->restore(id, kNeed, state);
      if (state == JobState::kRunning) expected_waiting_.push_front(id);
      if (state == JobState::kQueued) expected_waiting_.push_back(id);
    }
    obey_queue();
    for (uint64_t id : submitted_) {
      if (!queue_->has(id)) submit(id);  // It was not acknowledged, so it is asked again.
    }
    tick();
  }

  void tick() {
    in_head(0.1, [this] {
      if (run_ && run_->machine) run_->machine->tick(clock_.now());
      if (run_ && run_->machine && clock_.chance(0.01)) lend_otherwise();
      tick();
    });
  }

  // Somebody takes back what the job was lent, or lends it more.
  void lend_otherwise() {
    std::vector<actors::WorkerPool::Place> places(run_->places.size());
    for (size_t i = 0; i < places.size(); ++i) {
      if (run_->is_lent[i]) run_->places[i] = clock_.chance(0.5);
      places[i] = {.is_there = run_->places[i], .is_another = clock_.chance(0.1)};
    }
    ++counts_.places_changed;
    clock_.trace("lend otherwise", run_->job);
    run_->machine->place(places, clock_.now());
  }

  void submit(uint64_t id) {
    records_[id] = {.id = id, .request_id = std::to_string(id), .spec = {}, .home = "/jobs"};
    epochs_[id] = store_.epoch(id);
    write(id);
    expected_waiting_.push_back(id);
    queue_->submit(id, kNeed);
    obey_queue();
  }

  void write(uint64_t id) {
    actors::Batch batch;
    batch.job = id;
    batch.epoch = epochs_[id];
    batch.writes.push_back({{id, actors::RecordKind::kJob, 0, 0}, encode(records_[id])});
    store_.submit(std::move(batch), [](const Status& status) {
      require(static_cast<bool>(status), "a job's record was refused");
    });
  }

  void obey_queue() {
    for (const auto& command : queue_->decide(clock_.now())) {
      if (const auto* start = std::get_if<actors::ClusterQueue::Start>(&command)) {
        require(!expected_waiting_.empty() && expected_waiting_.front() == start->job,
                "a job was begun before one that came earlier");
        expected_waiting_.pop_front();
        start_run(start->job);
      } else if (const auto* stop = std::get_if<actors::ClusterQueue::Stop>(&command)) {
        require(run_ && run_->job == stop->job, "a job was stopped that does not run");
        run_->was_stopped = true;
        if (run_->machine) {
          run_->machine->stop(stop->state, clock_.now());
        } else {
          stop_when_begun_ = stop->state;
        }
      } else if (const auto* changed = std::get_if<actors::ClusterQueue::Changed>(&command)) {
        records_[changed->job].state = changed->state;
        if (changed->state != JobState::kRunning) write(changed->job);
      }
    }
  }

  void start_run(uint64_t job) {
    require(!run_, "two jobs run at once");
    clock_.trace("begin job", job);
    run_ = std::make_unique<Run>();
    run_->id = ++next_run_;
    run_->job = job;
    run_->prepared = scenario_.jobs[job - 1];
    if (clock_.chance(0.2)) run_->prepared.job.resources.rollout = 1 + clock_.below(3);
    if (clock_.chance(0.1)) run_->prepared.job.resources.verifier = 1 + clock_.below(2);
    if (clock_.chance(0.3)) {
      run_->prepared.job.resources.rollout_max =
          run_->prepared.job.resources.rollout + 1 + static_cast<int64_t>(clock_.below(2));
    }
    int64_t& ranks = num_ranks_[job];
    // Alone as often as not.
    if (ranks == 0 || clock_.chance(0.5)) ranks = std::vector<int64_t>{1, 1, 2, 4}[clock_.below(4)];
    if (scenario_.varies_ranks) run_->prepared.job.resources.learner = ranks;
    stop_when_begun_.reset();
    store_.begin_epoch(job, [this, job, incarnation = incarnation_](uint64_t epoch) {
      epochs_[job] = epoch;
      if (incarnation != incarnation_) return;
      run_->epoch = epoch;
      write(job);
      in_head(clock_.uniform(0.05, 0.3), [this] { begin_machine(); });
    });
  }

  void begin_machine() {
    if (stop_when_begun_) {
      end_run(*stop_when_begun_);
      return;
    }
    const JobSpec& spec = run_->prepared.job;
    auto history =
        actors::load_history(store_, run_->job, spec, [this](const PointRecord& point) -> Status {
          const std::string path = path_of(run_->job, point.folder);
          if (is_whole(path, point)) return ok();
          require(damaged_.count(path) > 0, "a recovery point that the store knows is not whole");
          return Error{ErrorCode::kCorruption, "damaged"};
        });
    require(static_cast<bool>(history), "the history cannot be read");
    // As Checkpoints::sweep: what has no record is gone.
    std::erase_if(points_, [&](const auto& point) {
      return point.second.job == run_->job &&
             std::none_of(history->run.points.begin(), history->run.points.end(),
                          [&](const PointRecord& known) {
                            return point.first == path_of(run_->job, known.folder);
                          });
    });
    policies_.clear();
    actors::JobRun::Options options;
    options.job_id = run_->job;
    options.epoch = run_->epoch;
    options.pool = {.first_epoch = actors::first_lease_number(run_->epoch),
                    .start_max = 20,
                    .prepare_max = 20,
                    .generate_max = 30,
                    .judge_max = 10,
                    .learn_max = 40};
    // One fault drops a group, or none ever does.
    options.pool.faults_max = scenario_.poison ? kPoisonedMax : scenario_.is_harsh ? 1 : 100000;
    options.pool.starts_max = 100000;
    if (!scenario_.is_harsh || scenario_.poison) {
      options.pool.kills_max = options.pool.learner_faults_max = 100000;
    }
    options.pool.make_seats = [job = run_->job](uint32_t num_ranks, uint64_t epoch) {
      return make_seats(job, num_ranks, epoch);
    };
    options.slots = actors::plan_slots(spec, 1, 1, 1, static_cast<int>(spec.resources.verifier));
    for (auto& slot : options.slots) {
      if (slot.is_lent) slot.is_placed = clock_.chance(0.5);
      run_->is_lent.push_back(slot.is_lent);
      run_->places.push_back(slot.is_placed);
    }
    options.policies_folder = "policies";
    options.survivors = take_over();
    run_->machine =
        std::make_unique<actors::JobRun>(run_->prepared, std::move(history->run), history->attempts,
                                         std::move(options), *this, sink_);
    run_->machine->start(clock_.now());
  }

  static Result<std::vector<TeamSeat>> make_seats(uint64_t job, uint32_t num_ranks,
                                                  uint64_t epoch) {
    const std::string name = fmt::format("{}.{}", job, epoch);
    std::vector<std::string> public_keys;
    for (uint32_t i = 0; i < num_ranks; ++i) public_keys.push_back(fmt::format("{}/{}", name, i));
    std::vector<TeamSeat> seats;
    for (uint32_t i = 0; i < num_ranks; ++i) {
      seats.push_back({.rank = i,
                       .epoch = epoch,
                       .public_keys = public_keys,
                       .secret_key = public_keys[i],
                       .token = name});
    }
    return seats;
  }

  // Workers of this job that have outlived their head. Each says hello when it has found this one.
  std::vector<actors::Survivor> take_over() {
    std::vector<actors::Survivor> survivors;
    for (const auto& [pid, process] : processes_) {
      if (!process->is_alive || process->run != 0 || process->job != run_->job) continue;
      ++counts_.survivors;
      survivors.push_back({process->slot, process->pid, process->token});
      process->run = run_->id;
      process->is_given_up = false;  // An earlier head's kill is on its way.
      in_worker(process, clock_.now() + clock_.uniform(0.01, 1.5),
                [this, process = process] { greet(process); });
    }
    return survivors;
  }

  // Again and again, until the head has heard it.
  void greet(const ProcessPointer& process) {
    if (process->epoch != 0 || process->run == 0) return;
    Hello hello{.slot = process->slot,
                .token = process->token,
                .pid = process->pid,
                .arithmetic_id = "cpu-1"};
    hello.holds = process->kept.held();
    say(process, 0, 0, std::move(hello));
    in_worker(process, clock_.now() + 0.25, [this, process] { greet(process); });
  }

  void finish_if_ended() {
    if (!run_ || !run_->machine || !run_->machine->end()) return;
    const auto& end = *run_->machine->end();
    clock_.note("the run ended: " + std::string(name(end.state)) + " " + end.error.message);
    require(end.state == JobState::kFinished || run_->was_stopped || scenario_.is_harsh ||
                scenario_.is_unsound,
            "a job ended without a reason: " + end.error.message);
    if (end.state == JobState::kFailed) {
      // The only failures that losses may cause.
      const auto is_said = [&end](const std::string& reason) {
        return end.error.message.find(reason) != std::string::npos;
      };
      require(scenario_.is_unsound ? std::any_of(run_->wrong.begin(), run_->wrong.end(), is_said)
                                   : is_said("times in a row"),
              end.error.message);
      ++counts_.jobs_failed;
    }
    require(run_->wrong.empty() || end.state == JobState::kFailed,
            "a step of other bits was taken");
    const Ledger& ledger = run_->machine->controller().ledger();
    weights_[run_->job] = run_->machine->weights_sha256();
    counts_.steps_redone += static_cast<uint64_t>(ledger.steps_redone);
    counts_.groups_again += static_cast<uint64_t>(ledger.trajectories_regenerated);
    require(ledger.tokens_regenerated >= 0, "more tokens were kept than there are");
    if (end.state == JobState::kFinished) {
      ++counts_.jobs_finished;
      counts_.groups_abandoned += store_.all(run_->job, actors::RecordKind::kDrop).size();
      counts_.trajectories_learned += static_cast<uint64_t>(ledger.trajectories_learned);
    }
    for (const auto& [pid, process] : processes_) {
      require(!process->is_alive || process->is_given_up || process->token.empty() ||
                  process->run != run_->id || starting_.count(pid) > 0,
              "a run has ended, one of its workers was left alone");
    }
    end_run(end.state);
  }

  void end_run(JobState state) {
    const uint64_t job = run_->job;
    clock_.trace("end job", job, static_cast<uint64_t>(state));
    run_.reset();
    queue_->ended(job, state);
    obey_queue();
  }

  bool is_done() const {
    if (!is_up_ || submitted_.size() < scenario_.jobs.size()) return false;
    for (uint64_t id : submitted_) {
      if (!queue_->has(id) || !is_terminal(queue_->state(id))) return false;
    }
    return true;
  }

  // The head goes, and with it messages, what was not synced, and who learns or knows no lease yet.
  void crash() {
    clock_.trace("head crashes");
    ++counts_.head_crashes;
    is_up_ = false;
    for (auto& [pid, process] : processes_) {
      process->is_alive &= process->leased_epoch != 0 && !process->lease_asks_to_learn;
      process->run = process->epoch = process->generation = 0;
      process->loading.clear();
      process->said_until = process->told_until = 0;
      process->heard = process->said;
      process->is_cut_off = false;
      process->lost_from = UINT64_MAX;
      clock_.after(kReconnectSeconds, [this, process = process] {
        if (process->run == 0) die(process, 1, 0);
      });
    }
    std::erase_if(processes_, [](const auto& one) { return !one.second->is_alive; });
    if (run_ && run_->machine) {
      const Ledger& ledger = run_->machine->controller().ledger();
      counts_.steps_redone += static_cast<uint64_t>(ledger.steps_redone);
    }
    counts_.lost_commits += store_.crash();
    if (run_) damage_newest_point(run_->job);
    run_.reset();
    starting_.clear();
    clock_.after(clock_.uniform(0.2, 2), [this] { boot(); });
  }

  // Only where another one is left to begin from.
  void damage_newest_point(uint64_t job) {
    const auto points = store_.all(job, actors::RecordKind::kPoint);
    if (points.size() < 2 || !clock_.chance(0.3)) return;
    const PointRecord newest = *decode_point_record(points.back().value);
    const std::string path = path_of(job, newest.folder);
    const auto found = points_.find(path);
    if (found == points_.end()) return;  // By an earlier crash.
    auto& files = found->second.files;
    if (clock_.chance(0.3)) {
      found->second.manifest = "damaged";
    } else {
      std::next(files.begin(), static_cast<int64_t>(clock_.below(files.size())))
          ->second->is_damaged = true;
    }
    damaged_.insert(path);
    ++counts_.damaged_points;
  }

  // ---- What a run asks for.

  void start_worker(uint32_t slot) override {
    ++actions_;
    const uint64_t run = run_->id;
    if (start_failures_ > 0) {
      --start_failures_;
      ++counts_.start_failures;
      in_head(0.01, [this, run, slot] {
        if (is_current(run)) run_->machine->worker_start_failed(slot, "no process", clock_.now());
      });
      return;
    }
    auto process = std::make_shared<Process>();
    process->pid = ++next_pid_;
    process->slot = slot;
    process->job = run_->job;
    process->run = run;
    process->token = "token " + std::to_string(process->pid);
    processes_[process->pid] = process;
    starting_.insert(process->pid);
    const double begun = clock_.uniform(0.001, 0.05);
    in_head(begun, [this, process] {
      starting_.erase(process->pid);
      if (is_current(process->run)) {
        run_->machine->worker_started(process->slot, process->token, process->pid, clock_.now());
      } else {
        process->is_given_up = true;
        die(process, 0, 9);
      }
    });
    in_worker(process, clock_.now() + begun + clock_.uniform(0.05, 0.5), [this, process] {
      greet(process);
      beat(process);
    });
  }

  void kill_worker(uint32_t, uint64_t pid) override {
    ++actions_;
    const auto found = processes_.find(pid);
    require(found != processes_.end(), "a process was killed that there never was");
    const ProcessPointer process = found->second;
    process->is_given_up = true;
    // Its host may take its time, and meanwhile it says what it likes.
    const double delay = clock_.chance(0.2) ? clock_.uniform(1, 8) : clock_.uniform(0, 0.1);
    clock_.after(delay, [this, process] { die(process, 0, 9); });
  }

  void send(const actors::pool::Send& message) override {
    ++actions_;
    if (const auto* generate = std::get_if<GenerateGroups>(&message.message)) {
      for (const PromptGroup& group : generate->groups) {
        counts_.trained += group.purpose == GroupPurpose::kTrain ? 1 : 0;
      }
      for (const auto& [pid, one] : processes_) {
        const bool learns =
            one->is_busy && one->lease && one->lease->roles == Roles{.learner = true};
        counts_.overlaps += learns && one->run == run_->id ? 1 : 0;
      }
    }
    if (const auto* share = std::get_if<LearnShare>(&message.message)) {
      for (const SequenceToLearn& one : share->own) {
        const auto [round, ordinal] = one.id.group;
        require(share->stage != Stage::kGrpo ||
                    store_.has({run_->job, actors::RecordKind::kGroup, number(round), ordinal}),
                "a group is learned before it is durable");
      }
    }
    ProcessPointer process;
    if (std::holds_alternative<Lease>(message.message)) {
      process = greeting_;
    } else {
      for (const auto& [pid, one] : processes_) {
        if (one->epoch == message.epoch && one->run == run_->id) process = one;
      }
    }
    require(process != nullptr, "a message has nobody to go to");
    require(process->slot == message.slot, "a message goes to another slot's worker");
    if (const auto* lease = std::get_if<Lease>(&message.message)) {
      process->epoch = message.epoch;
      check_seat(*lease);
    }
    if (std::holds_alternative<GenerateGroups>(message.message)) {
      process->generation = message.request_id;
    } else if (std::holds_alternative<CancelGeneration>(message.message)) {
      process->generation = 0;
    } else if (const auto* load = std::get_if<LoadPolicy>(&message.message)) {
      process->loading = load->path;
    }
    process->told_until = std::max(process->told_until, clock_.now() + clock_.uniform(0.001, 0.03));
    in_worker(
        process, process->told_until,
        [this, process, epoch = message.epoch, id = message.request_id, request = message.message] {
          take(process, {epoch, id, request});
        });
  }

  // Each is one process's, and none that does not learn has one.
  void check_seat(const Lease& lease) {
    const TeamSeat& seat = lease.seat;
    const auto ranks = run_->prepared.job.resources.learner;
    require(seat.num_ranks() == (lease.roles.learner ? ranks : 1), "a team of another size");
    if (seat.num_ranks() == 1) return;
    require(seat.public_keys[seat.rank] == seat.secret_key, "a seat with another's key");
    require(seats_.insert(seat.secret_key).second, "a seat was given to two processes");
  }

  void commit(uint64_t ticket, actors::Batch batch) override {
    ++actions_;
    store_.submit(std::move(batch), [this, ticket, run = run_->id](const Status& status) {
      in_head(0.0005, [this, ticket, run, status] {
        if (is_current(run)) run_->machine->committed(ticket, status, clock_.now());
      });
    });
  }

  void load_round(Round round) override {
    ++actions_;
    store_.read([this, round, run = run_->id] {
      if (!is_current(run)) return;
      auto history = actors::load_round(store_, run_->job, round);
      require(static_cast<bool>(history), "a round cannot be read");
      in_head(0.0005, [this, round, run, history = std::move(*history)] {
        if (is_current(run)) run_->machine->round_loaded(round, history, clock_.now());
      });
    });
  }

  std::string unfinished_point(PolicyVersion version) const {
    return fmt::format("{}.{}.unfinished", run_->epoch, number(version));
  }
  std::string begin_point(PolicyVersion version) override {
    ++actions_;
    const std::string folder = unfinished_point(version);
    unfinished_[folder] = {.job = run_->job};
    return folder;
  }
  Result<PointRecord> finish_point(const PointWritten& written) override {
    ++actions_;
    PointRecord record{.version = written.version,
                       .folder = fmt::format("step_{}", number(written.version)),
                       .weights_sha256 = written.weights_sha256,
                       .policies = written.policies};
    const std::string path = path_of(run_->job, record.folder);
    const bool is_recorded =
        store_.has({run_->job, actors::RecordKind::kPoint, number(record.version), 0});
    require(!is_recorded || damaged_.count(path) > 0,
            "a recovery point that has a record was made again");
    auto made = unfinished_.extract(unfinished_point(record.version));
    require(!made.empty(), "a point is finished that nobody has begun");
    Point& point = made.mapped();
    point.listed = written.files;
    check_parts(point, written);
    uint64_t hash = number(written.version);
    for (const PointFile& file : written.files) hash = mix(hash, std::stoull(file.sha256));
    point.manifest = record.manifest_sha256 = std::to_string(hash);
    damaged_.erase(path);
    points_[path] = std::move(point);
    return record;
  }
  // All parts, of one version, and what the record names beside them.
  void check_parts(const Point& point, const PointWritten& written) const {
    const auto ranks = static_cast<uint32_t>(run_->prepared.job.resources.learner);
    std::set<std::string> expected{"whole"};
    for (uint32_t rank = 0; rank < ranks; ++rank) expected.insert(part_name(rank));
    for (const auto& policy : written.policies) expected.insert(policy_name(policy.version));
    std::set<std::string> listed;
    for (const PointFile& file : written.files) {
      require(listed.insert(file.name).second, "a point has a file twice");
      const auto found = point.files.find(file.name);
      require(found != point.files.end(), "a point has a file that nobody has written");
      if (!found->second->part) continue;
      const FakePart& part = *found->second->part;
      require(part.num_ranks == ranks && part.version == written.version,
              "a point has a part of another");
    }
    require(listed == expected, "a point does not have what it should");
  }
  std::string point_path(const PointRecord& point) override {
    return path_of(run_->job, point.folder);
  }
  Result<std::string> take_policy(const PointRecord& point, PolicyVersion version) override {
    ++actions_;
    ++counts_.policies_restored;
    const auto& files = points_.at(path_of(run_->job, point.folder)).files;
    const auto held = files.find(policy_name(version));
    require(held != files.end(), "a point does not hold a version that its record names");
    const std::string path = fmt::format("from {} {}", point.folder, number(version));
    policies_[path] = {version, held->second->weights};
    return path;
  }
  void remove_policy(const std::string& path) override {
    ++actions_;
    ++counts_.policies_removed;
    require(policies_.erase(path) > 0, "a policy was removed that there is not");
    for (const auto& [pid, process] : processes_) {
      require(process->run != run_->id || process->is_given_up || process->loading != path,
              "a policy was removed that a worker was told to load");
    }
  }
  void forget_point(const PointRecord& point) override {
    ++actions_;
    require(!store_.has({run_->job, actors::RecordKind::kPoint, number(point.version), 0}),
            "a recovery point was removed that the store still knows");
    points_.erase(path_of(run_->job, point.folder));
  }

  void keep_best(const PointRecord& point) override {
    require(points_.count(path_of(run_->job, point.folder)) > 0,
            "the best checkpoint is not there");
  }

  static std::string path_of(uint64_t job, const std::string& folder) {
    return fmt::format("{}/{}", job, folder);
  }
  static std::string part_name(uint32_t rank) { return fmt::format("part {}", rank); }
  static std::string policy_name(PolicyVersion version) {
    return fmt::format("policy {}", number(version));
  }
  // Every file has the digest that its manifest says, and that has the one of the record.
  bool is_whole(const std::string& path, const PointRecord& record) const {
    const auto found = points_.find(path);
    if (found == points_.end() || found->second.manifest != record.manifest_sha256) return false;
    const Point& point = found->second;
    return std::all_of(point.listed.begin(), point.listed.end(), [&](const PointFile& file) {
      return std::to_string(point.files.at(file.name)->digest()) == file.sha256;
    });
  }
  bool is_current(uint64_t run) const { return run_ && run_->id == run && run_->machine; }

  // ---- Workers.

  void in_worker(const ProcessPointer& process, double time, std::function<void()> event) {
    clock_.at(time, [this, process, event = std::move(event)] {
      if (!process->is_alive) return;
      if (process->frozen_until > clock_.now()) {
        in_worker(process, process->frozen_until, event);
      } else {
        event();
      }
    });
  }

  void die(const ProcessPointer& process, int exit_code, int signal) {
    if (!process->is_alive) return;
    process->is_alive = false;
    clock_.trace("worker dies", process->slot, process->pid);
    if (process->team) leave_team(process);
    disconnect(process);
    const actors::ProcessEnd end{
        .slot = process->slot, .pid = process->pid, .exit_code = exit_code, .signal = signal};
    const uint64_t run = process->run;
    in_head(clock_.uniform(0.06, 0.4), [this, process, end, run] {
      if (!is_current(run)) return;
      const bool counts = process->poisoned_at != 0 && !process->is_given_up &&
                          process->poisoned_at == process->generation;
      run_->machine->worker_ended(end, clock_.now());
      // Once what was committed by it is durable, no later head may have forgotten it.
      if (counts) store_.read([this] { ++num_poisoned_; });
    });
  }

  // Of what it has said, some beginning arrives.
  void disconnect(const ProcessPointer& process) {
    if (std::exchange(process->is_cut_off, true)) return;
    process->lost_from = process->heard + clock_.below(process->said - process->heard + 1);
    if (process->epoch == 0) return;
    const double closed = std::max(process->said_until, clock_.now()) + 0.001 - clock_.now();
    in_head(closed, [this, process, run = process->run] {
      if (!is_current(run)) return;
      run_->machine->worker_disconnected(process->slot, process->epoch, clock_.now());
    });
  }

  void say(const ProcessPointer& process, uint64_t epoch, uint64_t request_id, FromWorker message) {
    process->said_until = std::max(process->said_until, clock_.now() + clock_.uniform(0.001, 0.03));
    const bool is_answer = std::holds_alternative<GroupsGenerated>(message) ||
                           std::holds_alternative<GroupsJudged>(message) ||
                           std::holds_alternative<StepLearned>(message);
    const bool is_repeated = is_answer && clock_.chance(0.02);
    const uint64_t index = process->said++;
    in_head(process->said_until - clock_.now(),
            [this, process, index, epoch, request_id, is_repeated, message = std::move(message)] {
              if (index >= process->lost_from) {
                ++counts_.lost_messages;
                return;
              }
              ++process->heard;
              hear(process, epoch, request_id, message);
              if (!is_repeated) return;
              ++counts_.repeated_messages;
              hear(process, epoch, request_id, message);
            });
  }

  void hear(const ProcessPointer& process, uint64_t epoch, uint64_t request_id,
            const FromWorker& message) {
    if (!run_ || !run_->machine || run_->job != process->job) return;
    const bool is_stale = process->is_given_up || process->run != run_->id;
    const uint64_t actions = actions_;
    if (const auto* hello = std::get_if<Hello>(&message)) {
      greeting_ = process;
      const auto given = run_->machine->worker_hello(*hello, clock_.now());
      greeting_ = nullptr;
      counts_.stale_hellos += is_stale ? 1 : 0;
      require(!is_stale || !given, "a worker that was given up got a lease");
      if (!given) return;
      clock_.trace("lease", process->slot, *given);
      require(*given == process->epoch, "a lease and its epoch differ");
      for (const auto& [pid, other] : processes_) {
        require(other == process || other->slot != process->slot || other->run != run_->id ||
                    other->epoch == 0 || other->is_given_up,
                "a slot has two live leases");
      }
      return;
    }
    clock_.trace("heard", process->slot, mix(message.index(), request_id));
    if (epoch == 0) return;  // It breathes before it has a lease.
    if (const auto* learned = std::get_if<StepLearned>(&message); learned && !is_stale) {
      compare_step(process, *learned);
    }
    if (std::holds_alternative<PolicyLoaded>(message) && epoch == process->epoch) {
      process->loading.clear();
    }
    run_->machine->worker_said(process->slot, epoch, request_id, message, clock_.now());
    if (!is_stale) return;
    ++counts_.stale_messages;
    counts_.ranks_stale += process->team ? 1 : 0;
    require(actions == actions_, "a worker that was given up had an effect");
  }

  // All ranks must have come to the same bits, and to those of before where the step is durable.
  void compare_step(const ProcessPointer& process, const StepLearned& learned) {
    if (run_->machine->end()) return;
    const TeamSeat& seat = process->lease->seat;
    const uint64_t version = number(learned.metrics.version);
    auto& answers = run_->answers[{seat.token, version}];
    answers[seat.rank] = learned;
    if (answers.size() < seat.num_ranks()) return;
    auto all = run_->answers.extract({seat.token, version}).mapped();
    counts_.team_steps += seat.num_ranks() > 1 ? 1 : 0;
    const StepLearned& first = all.at(0);
    const auto is_same = [](const StepMetrics& a, const StepMetrics& b) {
      return bits_of(a.loss) == bits_of(b.loss) && bits_of(a.grad_norm) == bits_of(b.grad_norm);
    };
    for (const auto& [rank, one] : all) {
      if (is_same(one.metrics, first.metrics) && one.digest == first.digest) continue;
      require(scenario_.is_unsound, "ranks have not come to the same bits");
      ++counts_.ranks_differed;
      // Learners come first among the slots.
      run_->wrong.push_back(fmt::format("worker 0 and worker {} differ in", rank));
      return;
    }
    const actors::RecordKey key{run_->job, actors::RecordKind::kStep, version, 0};
    if (!store_.has(key)) return;
    if (is_same(decode_step_record(store_.value(key))->metrics, first.metrics)) return;
    require(scenario_.is_unsound, "a step was learned again to other bits");
    ++counts_.wrong_steps;
    run_->wrong.push_back("gave another result");
  }

  void beat(const ProcessPointer& process) {
    if (process->leased_epoch != 0) say(process, process->leased_epoch, 0, heartbeat(*process));
    in_worker(process, clock_.now() + 0.25, [this, process] { beat(process); });
  }

  static Heartbeat heartbeat(const Process& process) {
    Heartbeat beat;
    if (!process.is_at_meeting) return beat;
    const Meeting& meeting = process.team->meetings.at(process.num_meetings);
    beat.operation = meeting.what;
    for (uint32_t rank = 0; rank < process.team->pids.size() && beat.waits_for_rank < 0; ++rank) {
      if (meeting.ranks.count(rank) == 0) beat.waits_for_rank = static_cast<int32_t>(rank);
    }
    return beat;
  }

  void take(const ProcessPointer& process, const Process::Request& request) {
    if (process->is_cut_off) return;
    if (const auto* lease = std::get_if<Lease>(&request.message)) {
      process->leased_epoch = request.epoch;
      process->lease_asks_to_learn = lease->roles.learner;
      const bool is_same = process->lease && actors::is_same_work(*process->lease, *lease);
      if (!is_same || process->kept.held().empty())
        process->cancelled = actors::last_number_of_earlier(request.epoch);
    }
    if (request.epoch != process->leased_epoch) return;
    if (std::holds_alternative<CancelGeneration>(request.message)) {
      process->cancelled = std::max(process->cancelled, request.id);
      return;
    }
    if (std::holds_alternative<LoadPolicy>(request.message) && process->is_generating) {
      // In flight: what is being generated goes on by it.
      in_worker(process, clock_.now() + clock_.uniform(0.01, 0.3), [=, this] {
        if (process->is_hanging || request.epoch != process->leased_epoch) return;
        reply(process, request);
      });
      return;
    }
    process->requests.push_back(request);
    work(process);
  }

  void reply(const ProcessPointer& process, const Process::Request& request) {
    tell(process, request, answer(*process, request.message));
  }
  void tell(const ProcessPointer& process, const Process::Request& request,
            Result<FromWorker> answered) {
    say(process, request.epoch, request.id,
        answered ? std::move(*answered) : FromWorker(WorkFailed{answered.error()}));
  }
  // To what it is at, which is done by that.
  void finish(const ProcessPointer& process, Result<FromWorker> answered) {
    tell(process, process->executing, std::move(answered));
    process->executing = {};
    process->is_busy = false;
    work(process);
  }

  // The next request, when nothing is under way. What an earlier head asked for is not begun.
  void work(const ProcessPointer& process) {
    while (!process->requests.empty() && process->requests.front().epoch != process->leased_epoch) {
      process->requests.pop_front();
    }
    if (process->is_busy || process->is_hanging || process->requests.empty()) return;
    process->is_busy = true;
    const Process::Request request = std::move(process->requests.front());
    process->requests.pop_front();
    process->executing = request;
    if (process->has_failed) {
      cannot_go_on(process);
      return;
    }
    if (const auto* generate = std::get_if<GenerateGroups>(&request.message)) {
      begin_generation(process, request.id, *generate);
      return;
    }
    const double seconds = std::holds_alternative<Lease>(request.message)
                               ? clock_.uniform(0.1, 1)
                               : clock_.uniform(0.02, 0.3);
    in_worker(process, clock_.now() + seconds, [this, process] {
      if (process->is_hanging) return;
      const ToWorker& message = process->executing.message;
      if (const auto* lease = std::get_if<Lease>(&message)) {
        take_lease(process, *lease);
      } else if (const auto* join = std::get_if<JoinTeam>(&message)) {
        join_team(process, *join);
      } else if (const auto* share = std::get_if<LearnShare>(&message)) {
        learn(process, *share);
      } else if (std::holds_alternative<SavePoint>(message)) {
        begin_to_save(process);
      } else {
        finish(process, answer(*process, message));
      }
    });
  }

  // ---- Learners and their teams.

  void take_lease(const ProcessPointer& process, const Lease& lease) {
    if (process->lease && !actors::is_same_work(*process->lease, lease)) {
      ++counts_.other_leases;
      process->loaded.reset();
      process->kept.clear();
    }
    process->lease = lease;
    if (!lease.roles.learner) {
      finish(process, FromWorker(process->kept.ready()));
    } else if (lease.seat.num_ranks() == 1) {
      begin_learner(process);
    } else {
      finish(process, take_seat(process));
    }
  }

  // Where a rank is, is where its process is.
  static std::string endpoint_of(uint64_t pid) { return fmt::format("at {}", pid); }

  Result<FromWorker> take_seat(const ProcessPointer& process) {
    const TeamSeat& seat = process->lease->seat;
    auto& team = teams_[seat.token];
    if (!team) team = std::make_shared<FakeTeam>(FakeTeam{.token = seat.token});
    team->pids.resize(seat.num_ranks());
    require(team->pids[seat.rank] == 0, "two processes have taken one seat");
    team->pids[seat.rank] = process->pid;
    process->team = team;
    return FromWorker(RankSeated{endpoint_of(process->pid)});
  }

  void join_team(const ProcessPointer& process, const JoinTeam& join) {
    const TeamSeat& seat = process->lease->seat;
    require(process->team && !process->has_joined, "a rank is to join that has no seat to join by");
    require(join.endpoints.size() == seat.num_ranks(), "a team is joined by other ranks than its");
    for (uint32_t rank = 0; rank < seat.num_ranks(); ++rank) {
      require(join.endpoints[rank] == endpoint_of(process->team->pids[rank]),
              "a rank is not where its team is told that it is");
    }
    meet(process, "join", {}, [this](const ProcessPointer& rank, const Pieces&) {
      rank->has_joined = true;
      begin_learner(rank);
    });
  }

  // From its point, or from nothing; all ranks have all weights then.
  void begin_learner(const ProcessPointer& process) {
    const Lease& lease = *process->lease;
    process->learner = fresh_learner(lease.seat.rank, lease.seat.num_ranks());
    FakeLearner& learner = process->learner;
    if (!lease.point_path.empty()) {
      const auto found = points_.find(lease.point_path);
      if (found == points_.end() || !is_whole(lease.point_path, lease.point)) {
        finish(process, Error{ErrorCode::kCorruption, "its recovery point is not there"});
        return;
      }
      uint32_t parts = 0;
      for (const auto& [name, file] : found->second.files) {
        if (!file->part) continue;
        take_part(learner, *file->part);
        ++parts;
      }
      counts_.points_regrouped += parts != learner.num_ranks ? 1 : 0;
    }
    if (scenario_.is_unsound) {
      learner.defect = process->pid;
      if (clock_.chance(0.1)) learner.differs = static_cast<Differs>(1 + clock_.below(3));
    }
    meet(process, "publish", learner.own_masters(),
         [this](const ProcessPointer& rank, const Pieces& masters) {
           rank->learner.publish(masters);
           if (rank->lease->point_path.empty()) rank->learner.reference = rank->learner.values;
           rank->is_ready = true;
           finish(rank,
                  FromWorker(WorkerReady{rank->learner.version, rank->learner.weights_name(), 1}));
         });
  }

  void learn(const ProcessPointer& process, const LearnShare& share) {
    auto digests = begin_step(process->learner, share, process->lease->job);
    if (!digests) {
      finish(process, digests.error());
      return;
    }
    meet(process, "add up", std::move(*digests),
         [this](const ProcessPointer& rank, const Pieces& all) {
           move_masters(rank->learner, std::get<LearnShare>(rank->executing.message), all);
           meet(rank, "publish", rank->learner.own_masters(),
                [this](const ProcessPointer& one, const Pieces& masters) {
                  finish(one,
                         FromWorker(end_step(
                             one->learner, std::get<LearnShare>(one->executing.message), masters)));
                });
         });
  }

  // `done` comes when all ranks are there, or never.
  void meet(const ProcessPointer& process, const std::string& what, Pieces pieces, Done done) {
    if (process->lease->seat.num_ranks() == 1) {
      done(process, pieces);
      return;
    }
    if (process->is_apart) {
      cannot_go_on(process);
      return;
    }
    FakeTeam& team = *process->team;
    const TeamSeat& seat = process->lease->seat;
    require(team.token == seat.token && team.pids[seat.rank] == process->pid,
            "a rank takes part in another team than its own");
    Meeting& meeting = team.meetings[++process->num_meetings];
    require(meeting.ranks.empty() || meeting.what == what, "ranks of a team are at different work");
    meeting.what = what;
    for (const auto& [index, piece] : pieces) {
      require(meeting.pieces.emplace(index, piece).second, "two ranks have one piece");
    }
    require(meeting.ranks.emplace(seat.rank, std::move(done)).second, "a rank is there twice");
    process->is_at_meeting = true;
    counts_.old_meetings += process->is_given_up ? 1 : 0;
    if (meeting.ranks.size() < seat.num_ranks()) return;
    const auto all = std::make_shared<const Pieces>(std::move(meeting.pieces));
    for (auto& [index, go_on] : meeting.ranks) {
      const ProcessPointer rank = processes_.at(team.pids[index]);
      rank->is_at_meeting = false;
      in_worker(rank, clock_.now() + clock_.uniform(0.001, 0.05),
                [rank, all, go_on = std::move(go_on)] {
                  if (!rank->is_hanging) go_on(rank, *all);
                });
    }
    team.meetings.erase(process->num_meetings);
  }

  // Others hear of its end a little later, if at all.
  void leave_team(const ProcessPointer& process) {
    if (!process->is_given_up) {
      const ToWorker& message = process->executing.message;
      const bool is_at_work = process->is_busy && process->has_joined;
      if (!process->is_ready) ++counts_.ranks_lost_forming;
      if (is_at_work && std::holds_alternative<LearnShare>(message)) ++counts_.ranks_lost_in_step;
      if (is_at_work && std::holds_alternative<SavePoint>(message)) ++counts_.ranks_lost_saving;
    }
    for (const uint64_t pid : process->team->pids) {
      const auto other = processes_.find(pid);
      if (other == processes_.end() || !other->second->is_alive || clock_.chance(0.2)) continue;
      in_worker(other->second, clock_.now() + clock_.uniform(0.005, 0.4),
                [this, rank = other->second] { lose_touch(rank); });
    }
  }

  void lose_touch(const ProcessPointer& process) {
    process->is_apart = true;
    if (!process->is_at_meeting || process->is_hanging) return;
    process->team->meetings.at(process->num_meetings).ranks.erase(process->lease->seat.rank);
    process->is_at_meeting = false;
    cannot_go_on(process);
  }

  void cannot_go_on(const ProcessPointer& process) {
    const auto& pids = process->team->pids;
    const bool are_all_alive = std::all_of(pids.begin(), pids.end(), [this](uint64_t pid) {
      return pid == 0 || (processes_.count(pid) > 0 && processes_.at(pid)->is_alive);
    });
    const bool is_first = !std::exchange(process->has_failed, true);
    counts_.ranks_unreachable += is_first && are_all_alive && !process->is_given_up ? 1 : 0;
    finish(process, Error{ErrorCode::kUnavailable, "it cannot reach another rank"});
  }

  // Each hashes its own of the weights, then writes its own files.
  void begin_to_save(const ProcessPointer& process) {
    meet(process, "hash", {}, [this](const ProcessPointer& rank, const Pieces&) {
      open_files(*rank, std::get<SavePoint>(rank->executing.message));
      // A moment that few faults would find.
      if (rank->team && has_faults() && clock_.chance(0.03)) {
        ++counts_.kills;
        die(rank, 0, 9);
      }
      in_worker(rank, clock_.now() + clock_.uniform(0.01, 0.2), [this, rank] {
        if (rank->is_hanging) return;
        finish(rank, save_point(*rank, std::get<SavePoint>(rank->executing.message)));
      });
    });
  }

  // They are there, and not what they are to be.
  void open_files(Process& process, const SavePoint& save) {
    const auto found = unfinished_.find(save.folder);
    const FakeLearner& learner = process.learner;
    if (found == unfinished_.end() || learner.version != save.version) return;
    process.written.clear();
    std::vector<std::string> names{part_name(learner.rank)};
    if (learner.rank == 0) {
      names.push_back("whole");
      for (const auto& policy : save.policies) names.push_back(policy_name(policy.version));
    }
    for (const std::string& name : names) {
      auto& file = found->second.files[name];
      if (!file) file = std::make_shared<File>();
      *file = {};
      process.written[name] = file;
    }
  }

  Result<FromWorker> save_point(Process& process, const SavePoint& save) {
    const FakeLearner& learner = process.learner;
    const auto files = std::exchange(process.written, {});
    const Error wrong{ErrorCode::kInternal, "asked to save what it does not hold"};
    if (learner.version != save.version || files.empty()) return wrong;
    require(learner.scored.empty(), "a recovery point that forgets what was scored");
    PointWritten written{
        .version = save.version, .weights_sha256 = learner.weights_name(), .core_seconds = 0.1};
    *files.at(part_name(learner.rank)) = {.is_whole = true, .part = part_of(learner)};
    if (learner.rank == 0) {
      *files.at("whole") = {.is_whole = true, .weights = learner.weights};
      for (const PolicyFile& policy : save.policies) {
        const auto found = policies_.find(policy.path);
        if (found == policies_.end() || found->second.first != policy.version) return wrong;
        const uint64_t weights = found->second.second;
        *files.at(policy_name(policy.version)) = {.is_whole = true, .weights = weights};
        written.policies.push_back({policy.version, std::to_string(weights)});
      }
    }
    for (const auto& [name, file] : files) {
      written.files.push_back({name, std::to_string(file->digest())});
    }
    return FromWorker(std::move(written));
  }

  // ---- What workers answer at once.

  Result<FromWorker> answer(Process& process, const ToWorker& request) {
    const auto at_version = [&](PolicyVersion version) {
      return process.lease->roles.learner && process.learner.version == version;
    };
    const Error wrong{ErrorCode::kInternal, "asked for what it does not hold"};
    if (const auto* judge = std::get_if<JudgeGroups>(&request)) {
      auto verifier = actors::VerifierRole::create(process.lease->job.rewards, {});
      if (!verifier) return verifier.error();
      return FromWorker((*verifier)->judge(*judge));
    }
    if (const auto* publish = std::get_if<PublishPolicy>(&request)) {
      if (!at_version(publish->version)) return wrong;
      policies_[publish->path] = {publish->version, process.learner.weights};
      return FromWorker(
          PolicyPublished{publish->version, publish->path, process.learner.weights_name()});
    }
    if (const auto* load = std::get_if<LoadPolicy>(&request)) {
      const auto found = policies_.find(load->path);
      if (found == policies_.end() || found->second.first != load->version ||
          std::to_string(found->second.second) != load->weights_sha256) {
        return wrong;
      }
      process.loaded = found->second;
      process.kept.loaded(load->version, load->weights_sha256);
      return FromWorker(PolicyLoaded{load->version, load->weights_sha256});
    }
    return wrong;
  }

  struct Generation {
    uint64_t epoch = 0;
    uint64_t id = 0;
    uint64_t weights = 0;
    PolicyVersion version{};
    GenerateGroups request{};
    GroupsGenerated finished{};
  };

  // Groups are finished in any order and are told one by one or together.
  void begin_generation(const ProcessPointer& process, uint64_t id, const GenerateGroups& request) {
    auto generation = std::make_shared<Generation>();
    generation->epoch = process->executing.epoch;
    generation->id = id;
    generation->request = request;
    const bool holds_it = process->lease->roles.learner
                              ? process->learner.version == request.version
                              : process->loaded && process->loaded->first == request.version;
    if (id > process->cancelled && !holds_it) {
      say(process, generation->epoch, id,
          WorkFailed{{ErrorCode::kInternal, "asked to generate with another version"}});
    }
    if (id <= process->cancelled || !holds_it) {
      process->is_busy = false;
      work(process);
      return;
    }
    generation->weights =
        process->lease->roles.learner ? process->learner.weights : process->loaded->second;
    generation->version = request.version;
    process->is_generating = true;
    if (keeps(*process)) {
      generation->finished.groups = process->kept.begin(generation->request);
      counts_.kept_groups += generation->finished.groups.size();
    }
    auto& groups = generation->request.groups;
    for (const PromptGroup& group : groups) check_begun(*process, *generation, group);
    for (size_t i = groups.size(); i > 1; --i) std::swap(groups[i - 1], groups[clock_.below(i)]);
    generate_next(process, generation);
  }

  static bool keeps(const Process& process) {
    return !process.lease->roles.learner && process.lease->job.schedule.mode != "async";
  }

  // What it is to go on from is what it would have come to itself.
  void check_begun(const Process& process, const Generation& generation, const PromptGroup& group) {
    for (const ResponseSegment& one : group.begun) {
      const auto whole = respond(process.lease->job.seed, generation.weights, group, one.id.sample);
      const size_t size = one.tokens.size();
      const bool is_same =
          one.id.group == group.id && one.begin == 0 && size < whole.tokens.size() &&
          std::equal(one.tokens.begin(), one.tokens.end(), whole.tokens.begin()) &&
          std::equal(one.logprobs.begin(), one.logprobs.end(), whole.logprobs.begin());
      require(scenario_.is_unsound || is_same, "a response was begun by something else");
      counts_.tokens_kept += size;
    }
  }

  // The next part of some response of a group, unless that is its end.
  ResponseSegments next_segment(const Process& process, const Generation& generation,
                                PromptGroup& group) {
    const int64_t size = generation.request.segment_tokens;
    if (size == 0 || group.purpose != GroupPurpose::kTrain) return {};
    ResponseSegment next{.id = {group.id, static_cast<uint32_t>(clock_.below(group.num_samples))}};
    for (const ResponseSegment& one : group.begun) {
      if (one.id == next.id) next.begin = static_cast<uint32_t>(one.tokens.size());
    }
    const auto whole = respond(process.lease->job.seed, generation.weights, group, next.id.sample);
    const int64_t end = next.begin + size;
    if (end >= static_cast<int64_t>(whole.tokens.size())) return {};
    next.tokens.assign(whole.tokens.begin() + next.begin, whole.tokens.begin() + end);
    next.logprobs.assign(whole.logprobs.begin() + next.begin, whole.logprobs.begin() + end);
    require(extend(group.begun, next), "a part does not follow its response");
    ++counts_.segments;
    return {std::move(next)};
  }

  void generate_next(const ProcessPointer& process, const std::shared_ptr<Generation>& generation) {
    in_worker(process, clock_.now() + clock_.uniform(0.05, 0.6), [this, process, generation] {
      if (process->is_hanging) return;
      const bool is_wanted = generation->id > process->cancelled;
      auto& groups = generation->request.groups;
      if (is_wanted && !groups.empty() && clock_.chance(0.5)) {
        auto segments = next_segment(*process, *generation, groups.back());
        if (!segments.empty()) {
          say(process, generation->epoch, generation->id,
              GroupsGenerated{.segments = std::move(segments)});
          generate_next(process, generation);
          return;
        }
      }
      if (is_wanted && !groups.empty()) {
        const PromptGroup& from = groups.back();
        if (from.purpose == GroupPurpose::kTrain && scenario_.poison == from.id) {
          // Who was frozen and given up may still get to what it was once told.
          const bool is_stale = process->is_given_up || !is_current(process->run) ||
                                generation->epoch != process->epoch;
          require(is_stale || num_poisoned_ < kPoisonedMax,
                  "a group was tried again after it was given up");
          ++counts_.poisonings;
          process->poisoned_at = generation->id;
          die(process, 1, 0);
          return;
        }
        GeneratedGroup group{
            .id = from.id, .purpose = from.purpose, .version = generation->request.version};
        const auto [before, weights] = std::pair(generation->version, generation->weights);
        const bool is_switched = !process->lease->roles.learner && process->loaded->first != before;
        if (is_switched) {
          std::tie(generation->version, generation->weights) = *process->loaded;
          ++counts_.switches;
        }
        for (uint32_t i = 0; i < from.num_samples; ++i) {
          const uint64_t by = is_switched ? mix(weights, generation->weights) : weights;
          group.responses.push_back(respond(process->lease->job.seed, by, from, i));
          SampledResponse& response = group.responses.back();
          const auto end = static_cast<uint32_t>(response.tokens.size());
          if (is_switched) response.versions = {{before, 0, 1}, {generation->version, 1, end}};
          if (!is_switched && before != group.version) response.versions = {{before, 0, end}};
        }
        if (keeps(*process)) process->kept.add(group);
        generation->finished.groups.push_back(std::move(group));
        groups.pop_back();
      }
      const bool is_last = groups.empty() && clock_.chance(0.7);
      if (is_wanted && (is_last || clock_.chance(0.6))) {
        auto message = std::exchange(generation->finished, {});
        message.is_last = is_last;
        message.core_seconds = 0.1;
        if (is_last || !message.groups.empty()) {
          say(process, generation->epoch, generation->id, std::move(message));
        }
      }
      if (is_wanted && !is_last) {
        generate_next(process, generation);
      } else {
        if (keeps(*process)) process->kept.end();
        process->is_busy = process->is_generating = false;
        work(process);
      }
    });
  }

  // ---- Misfortune.

  bool has_faults() const { return scenario_.fault_period > 0 && clock_.now() <= kFaultsUntil; }

  void next_fault() {
    clock_.after(clock_.uniform(0, 2 * scenario_.fault_period), [this] {
      if (!has_faults()) return;
      if (is_up_) fault();
      next_fault();
    });
  }

  ProcessPointer any_process() {
    std::vector<ProcessPointer> alive;
    for (const auto& [pid, process] : processes_) {
      if (process->is_alive) alive.push_back(process);
    }
    return alive.empty() ? nullptr : alive[clock_.below(alive.size())];
  }

  void fault() {
    const size_t kind = clock_.below(19);
    if (kind < 2) {
      crash();
      return;
    }
    if (kind == 2) {
      start_failures_ += 1 + clock_.below(3);
      return;
    }
    const ProcessPointer process = any_process();
    if (!process) return;
    clock_.trace("fault", kind, process->pid);
    if (kind < 6) {
      ++counts_.kills;
      die(process, 0, 9);
    } else if (kind < 8) {
      ++counts_.fault_exits;
      clock_.chance(0.5) ? die(process, 1, 0) : die(process, 0, 11);
    } else if (kind < 12) {
      ++counts_.freezes;
      const bool is_in_step = process->team && process->is_busy && !process->is_given_up &&
                              std::holds_alternative<LearnShare>(process->executing.message);
      counts_.ranks_frozen_in_step += is_in_step ? 1 : 0;
      process->frozen_until = clock_.now() + clock_.uniform(0.5, 6);
    } else if (kind == 12) {
      ++counts_.hangs;
      process->is_hanging = true;
    } else if (kind == 13) {
      // It has a head that it cannot reach, and gives up.
      ++counts_.partitions;
      disconnect(process);
      clock_.after(2, [this, process] { die(process, 0, 0); });
    } else if (kind > 16) {
      // Between it and another rank, or only on its side.
      cut_off_rank();
    } else {
      // Nothing of what it says arrives for a while.
      ++counts_.stalls;
      process->said_until = std::max(process->said_until, clock_.now() + clock_.uniform(0.5, 4));
    }
  }

  void cut_off_rank() {
    std::vector<ProcessPointer> ranks;
    for (const auto& [pid, process] : processes_) {
      if (process->is_alive && process->team && !process->is_given_up) ranks.push_back(process);
    }
    if (ranks.empty()) return;
    const ProcessPointer one = ranks[clock_.below(ranks.size())];
    const auto& pids = one->team->pids;
    const auto other = processes_.find(pids[clock_.below(pids.size())]);
    in_worker(one, clock_.now(), [this, one] { lose_touch(one); });
    if (other == processes_.end() || other->second == one || clock_.chance(0.5)) return;
    in_worker(other->second, clock_.now() + clock_.uniform(0, 0.5),
              [this, rank = other->second] { lose_touch(rank); });
  }

  // ---- The user.

  void next_wish() {
    clock_.after(clock_.uniform(0.5, 6), [this] {
      if (is_up_) wish();
      next_wish();
    });
  }

  void wish() {
    const uint64_t job = 1 + clock_.below(scenario_.jobs.size());
    if (!queue_->has(job)) return;
    const JobState state = queue_->state(job);
    const bool is_late = clock_.now() > kFaultsUntil;
    const size_t kind = is_late ? 0 : clock_.below(10);
    clock_.trace("wish", kind, job);
    if (kind < 5) {
      const bool waits = state == JobState::kPaused || state == JobState::kFailed;
      if (queue_->resume(job) && waits) expected_waiting_.push_back(job);
    } else if (kind < 9) {
      if (!queue_->pause(job)) return;
      ++counts_.pauses;
      std::erase(expected_waiting_, job);
    } else {
      if (!queue_->cancel(job)) return;
      ++counts_.cancels;
      std::erase(expected_waiting_, job);
    }
    obey_queue();
    finish_if_ended();
  }

  const Scenario scenario_;
  SimulatedClock clock_;
  StoreModel store_;
  Sink sink_{*this};
  Counts counts_{};
  uint64_t actions_ = 0;  // Everything that a run has asked for.

  bool is_up_ = false;
  uint64_t incarnation_ = 0;
  std::optional<actors::ClusterQueue> queue_{};
  std::map<uint64_t, JobRecord> records_{};
  std::map<uint64_t, uint64_t> epochs_{};
  std::unique_ptr<Run> run_{};
  std::optional<JobState> stop_when_begun_{};
  uint64_t next_run_ = 0;
  std::map<uint64_t, std::string> weights_{};
  std::map<uint64_t, int64_t> num_ranks_{};  // Of a job's learner, in its last run.
  std::deque<uint64_t> expected_waiting_{};
  std::set<uint64_t> submitted_{};

  uint64_t next_pid_ = 0;
  std::map<uint64_t, ProcessPointer> processes_{};
  std::set<std::string> seats_{};  // That were given to somebody.
  std::map<std::string, std::shared_ptr<FakeTeam>> teams_{};
  std::set<uint64_t> starting_{};  // Started, and the run does not know it yet.
  ProcessPointer greeting_{};
  uint64_t start_failures_ = 0;
  uint64_t num_poisoned_ = 0;  // Workers lost at the poisoned group, of which the store knows.
  // The disk.
  std::map<std::string, Point> points_{}, unfinished_{};
  std::set<std::string> damaged_{};
  std::map<std::string, std::pair<PolicyVersion, uint64_t>> policies_{};
};

}  // namespace troupe::tests

// One file, because each part acts on all others: processes, their requests, what they generate and
// learn, and what is lost with them.
#include "cluster/planner/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "actors/controller/job_run.h"
#include "actors/lease_numbers.h"
#include "actors/replay/job_history.h"
#include "actors/scheduler/cluster_queue.h"
#include "cluster/planner/event_queue.h"
#include "cluster/planner/memory_store.h"
#include "cluster/planner/pace.h"
#include "cluster/planner/played_answers.h"
#include "kernels/random.h"
#include "schemas/check.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr uint64_t kJob = 1, kEpoch = 1;
constexpr double kNever = 1e12;      // Seconds: nobody is overdue.
constexpr double kTickSeconds = 20;  // Of a run that has no deadlines.
constexpr double kCommitSeconds = 1e-3;
constexpr int64_t kLongestScaled = 32;  // Tokens that the longest response has by default.
constexpr int64_t kVerifiersMax = 64;   // Processes; each judges many groups at once.
constexpr double kSilenceMax = 1e7;     // Seconds: nobody has anything to say any more.
constexpr int kPrompts = 64;
constexpr size_t kRoundsKept = 80;
constexpr uint32_t kFailureTag = (1u << 24) - 3;

std::string weights_name(PolicyVersion version) { return fmt::format("{}", number(version)); }

class Simulation : public actors::RunPorts {
 public:
  Simulation(const PlanSubject& subject, const DrawnInputs& inputs, const PlanLayout& layout,
             const SimulationOptions& options)
      : subject_(subject),
        inputs_(inputs),
        costs_(inputs.costs),
        layout_(layout),
        options_(options),
        steps_(static_cast<double>(subject.job.grpo.steps)) {}

  Result<SimulationResult> run() {
    prepare();
    if (Status begun = begin(); !begun) return begun.error();
    while (!machine_->end()) {
      if (!events_.step() || events_.now() - heard_at_ > kSilenceMax) {
        return Error{ErrorCode::kInternal, "the simulated run waits for " +
                                               machine_->controller().waits_for() +
                                               ", which nobody brings"};
      }
    }
    queue_.ended(kJob, machine_->end()->state);
    if (machine_->end()->state != JobState::kFinished) {
      return Error{ErrorCode::kInternal,
                   "the simulated run has ended: " + machine_->end()->error.message};
    }
    return finish();
  }

  // ---- What the run asks for.

  void start_worker(uint32_t slot) override {
    Worker& worker = workers_[slot];
    const double delay = worker.pid == 0 ? 0 : costs_.restart_seconds;
    worker = {.pid = ++next_pid_, .is_alive = true, .roles = worker.roles};
    events_.after(delay, [this, slot, pid = worker.pid] {
      if (!is_there(slot, pid)) return;
      workers_[slot].is_started = true;
      const std::string token = fmt::format("token {}", pid);
      machine_->worker_started(slot, token, pid, events_.now());
      Hello hello{.slot = slot, .token = token, .pid = pid, .arithmetic_id = "cpu-1"};
      machine_->worker_hello(hello, events_.now());
    });
  }

  void kill_worker(uint32_t slot, uint64_t pid) override {
    events_.after(0, [this, slot, pid] {
      if (is_there(slot, pid)) die(slot);
    });
  }

  void send(const actors::pool::Send& message) override {
    Worker& worker = workers_[message.slot];
    if (std::holds_alternative<Lease>(message.message)) worker.epoch = message.epoch;
    if (!worker.is_alive || worker.epoch != message.epoch) return;
    if (std::holds_alternative<CancelGeneration>(message.message)) {
      worker.cancelled = std::max(worker.cancelled, message.request_id);
      return;
    }
    const bool is_in_flight =
        worker.generation && std::holds_alternative<LoadPolicy>(message.message);
    if (is_in_flight) {
      load_in_flight(message.slot, message.request_id, std::get<LoadPolicy>(message.message));
      return;
    }
    worker.requests.push_back({message.request_id, message.message});
    events_.after(0, [this, slot = message.slot, pid = worker.pid] {
      if (is_there(slot, pid)) work(slot);
    });
  }

  void commit(uint64_t ticket, actors::Batch batch) override {
    store_.apply(std::move(batch));
    events_.after(kCommitSeconds,
                  [this, ticket] { machine_->committed(ticket, ok(), events_.now()); });
  }

  void load_round(Round round) override {
    events_.after(0, [this, round] {
      auto history = actors::load_round(store_, kJob, round);
      if (history) {
        machine_->round_loaded(round, *std::move(history), events_.now());
      } else {
        machine_->fail(history.error(), events_.now());
      }
    });
  }

  std::string begin_point(PolicyVersion version) override {
    return fmt::format("unfinished {}", number(version));
  }
  Result<PointRecord> finish_point(const PointWritten& written) override {
    return PointRecord{.version = written.version,
                       .folder = fmt::format("step_{}", number(written.version)),
                       .manifest_sha256 = weights_name(written.version),
                       .weights_sha256 = written.weights_sha256,
                       .policies = written.policies};
  }
  std::string point_path(const PointRecord& point) override { return point.folder; }
  Result<std::string> take_policy(const PointRecord& point, PolicyVersion version) override {
    return fmt::format("{}/{}", point.folder, number(version));
  }
  void remove_policy(const std::string&) override {}
  void forget_point(const PointRecord&) override {}
  void keep_best(const PointRecord&) override {}

 private:
  struct Request {
    uint64_t id = 0;
    ToWorker message{};
  };

  // A request that is being generated: all of its responses go on together.
  struct Generation {
    uint64_t id = 0;
    GenerateGroups request{};
    Pace pace{};
    std::vector<std::pair<double, size_t>> ends{};  // Of groups: seconds, index in the request.
    size_t next = 0;
    double begun = 0;  // Time of its second 0, pauses counted in.
    double since = 0;
    uint64_t stamp = 0;
    int64_t responses = 0;
    // Versions by which it has gone on, and from which token.
    std::vector<std::pair<PolicyVersion, double>> versions{};
  };

  struct Worker {
    uint64_t pid = 0;
    bool is_alive = false;
    bool is_started = false;  // The run knows of it.
    Roles roles{};
    uint64_t epoch = 0;
    uint64_t cancelled = 0;
    bool is_busy = false;
    std::deque<Request> requests{};
    PolicyVersion learned{};  // Of a learner.
    std::shared_ptr<Generation> generation{};
  };

  class Sink : public actors::MetricsSink {
   public:
    explicit Sink(Simulation& simulation) : simulation_(simulation) {}
    void run_started(const JobSpec&, std::string_view, int64_t) override {}
    void progressed(std::string_view, int64_t, int64_t) override {}
    void step_committed(const StepMetrics& step) override { simulation_.step_committed(step); }
    void evaluated(const EvalMetrics&, const std::vector<Trace>&) override {}
    void sampled(const RunSample&) override {}
    void noted(std::string_view) override {}
    void run_ended(const Ledger&, std::string_view, std::string_view) override {}

   private:
    Simulation& simulation_;
  };

  // ---- Beginning and end.

  // The job as the run sees it: a process for each replica, one for the learner.
  void prepare() {
    const JobSpec& job = subject_.job;
    const int64_t minibatches = job.grpo.minibatches_per_round;
    result_.rounds_in_all = job.grpo.steps / minibatches;
    result_.rounds = options_.rounds > 0 ? std::min(options_.rounds, result_.rounds_in_all)
                                         : result_.rounds_in_all;
    double longest = 0;
    for (const auto& [step, limit] : inputs_.lengths.limit_by_step) {
      longest = std::max(longest, limit);
    }
    scale_ = options_.token_scale > 0
                 ? options_.token_scale
                 : std::max<int64_t>(1, static_cast<int64_t>(longest) / kLongestScaled);
    result_.token_scale = scale_;
    JobSpec& own = prepared_.job;
    own = job;
    own.sft = {};
    own.eval.problems = 0;
    own.grpo.steps = result_.rounds * minibatches;
    own.data.cold_start.clear();
    own.rollout.max_response_tokens = static_cast<int64_t>(longest) / scale_ + 1;
    own.rollout.segment_tokens = 0;
    own.rollout.rescore_every_rounds = 0;
    own.learner = {.microbatch_tokens = 1 << 26, .gradient_lanes = 1};
    own.resources.placement = layout_.is_split ? "split" : "colocated";
    own.resources.rollout = layout_.workers();
    own.resources.rollout_max = 0;
    own.resources.learner = 1;
    own.resources.verifier = std::clamp<int64_t>(job.resources.verifier, 1, kVerifiersMax);
    for (int i = 0; i < kPrompts; ++i) {
      prepared_.data.train.push_back({.tokens = {'?'}, .text = "?", .gold = "1"});
    }
    prepared_.context_max = own.rollout.max_response_tokens + 1;
  }

  // The scheduler says when, on hosts of which each holds one replica or the learner.
  Status begin() {
    const JobSpec& job = prepared_.job;
    const auto verifiers = static_cast<int>(job.resources.verifier);
    const actors::SlotCounts counts = actors::count_slots(job.resources, verifiers);
    for (uint32_t i = 0; i < counts.required; ++i) {
      queue_.host_up(fmt::format("host {}", i), 1, /*is_elastic=*/false);
    }
    queue_.submit(kJob, {.slots = counts});
    bool is_begun = false;
    for (const auto& command : queue_.decide(0)) {
      is_begun |= std::holds_alternative<actors::ClusterQueue::Start>(command);
    }
    if (!is_begun) {
      return Error{ErrorCode::kInternal, "the job does not begin: " + queue_.why(kJob, 0)};
    }
    actors::JobRun::Options options;
    options.job_id = kJob;
    options.epoch = kEpoch;
    options.pool = {.first_epoch = actors::first_lease_number(kEpoch),
                    .silence_max = kNever,
                    .start_max = kNever,
                    .reconnect_max = kNever,
                    .prepare_max = kNever,
                    .generate_max = kNever,
                    .judge_max = kNever,
                    .learn_max = kNever};
    constexpr uint32_t kAlways = 1'000'000;
    options.pool.faults_max = options.pool.kills_max = kAlways;
    options.pool.learner_faults_max = options.pool.starts_max = kAlways;
    options.slots = actors::plan_slots(job, 1, 1, 1, verifiers);
    for (const actors::SlotPlan& slot : options.slots) {
      workers_.emplace_back();
      workers_.back().roles = slot.roles;
    }
    options.policies_folder = "policies";
    machine_ = std::make_unique<actors::JobRun>(prepared_, actors::RunHistory{},
                                                std::vector<AttemptRecord>{}, std::move(options),
                                                *this, sink_);
    machine_->start(0);
    tick();
    if (options_.has_failures) next_failure();
    return ok();
  }

  void tick() {
    events_.after(kTickSeconds, [this] {
      machine_->tick(events_.now());
      tick();
    });
  }

  SimulationResult finish() {
    const double wall = round_ends_.empty() ? events_.now() : round_ends_.back();
    SimulationResult& r = result_;
    r.seconds = wall;
    r.events = events_.num_done();
    r.steps = static_cast<int64_t>(num_steps_);
    r.round_ends = round_ends_;
    const double devices = static_cast<double>(subject_.cluster.devices());
    const auto ranks = static_cast<double>(layout_.learner.devices);
    r.generating_all = static_cast<double>(layout_.generating_devices) * wall;
    r.learning_all = ranks * wall;
    r.devices_all = devices * wall;
    r.learning_busy =
        ranks * (r.learn_seconds + r.reference_seconds + r.point_seconds + r.change_seconds);
    r.devices_busy = r.generating_busy + r.learning_busy;
    if (num_learned_ > 0) r.staleness_mean /= static_cast<double>(num_learned_);
    const auto& ledger = machine_->controller().ledger();
    r.steps_redone = ledger.steps_redone;
    r.hours = wall / 3600 * static_cast<double>(r.rounds_in_all) / static_cast<double>(r.rounds);
    return std::move(result_);
  }

  void step_committed(const StepMetrics& step) {
    ++num_steps_;
    const int64_t minibatches = prepared_.job.grpo.minibatches_per_round;
    const auto version = static_cast<int64_t>(number(step.version));
    if (version % minibatches != 0) return;
    const int64_t round = version / minibatches;
    if (static_cast<int64_t>(round_ends_.size()) < round) round_ends_.push_back(events_.now());
    while (lengths_.size() > kRoundsKept) lengths_.erase(lengths_.begin());
    if (options_.progress) options_.progress(round, result_.rounds);
  }

  // ---- Workers.

  bool is_there(uint32_t slot, uint64_t pid) const {
    return workers_[slot].pid == pid && workers_[slot].is_alive;
  }

  void die(uint32_t slot) {
    Worker& worker = workers_[slot];
    if (worker.generation) end_generation(worker);
    worker.is_alive = false;
    worker.requests.clear();
    machine_->worker_ended({.slot = slot, .pid = worker.pid, .signal = 9}, events_.now());
  }

  void say(uint32_t slot, uint64_t request, FromWorker message) {
    heard_at_ = events_.now();
    machine_->worker_said(slot, workers_[slot].epoch, request, std::move(message), events_.now());
  }

  // The next request, when nothing is under way.
  void work(uint32_t slot) {
    Worker& worker = workers_[slot];
    if (worker.is_busy || worker.requests.empty()) return;
    worker.is_busy = true;
    Request request = std::move(worker.requests.front());
    worker.requests.pop_front();
    if (auto* generate = std::get_if<GenerateGroups>(&request.message)) {
      begin_generation(slot, request.id, std::move(*generate));
      return;
    }
    double seconds = 0;
    FromWorker answered = answer(worker, request.message, seconds);
    if (worker.roles.learner && options_.keeps_spans && seconds > 0 &&
        std::holds_alternative<LearnShare>(request.message)) {
      const auto version = number(std::get<LearnShare>(request.message).version) - 1;
      result_.spans.push_back(
          {slot, true, events_.now(), events_.now() + seconds,
           static_cast<int64_t>(version) / prepared_.job.grpo.minibatches_per_round});
    }
    events_.after(seconds, [this, slot, pid = worker.pid, id = request.id,
                            message = std::move(answered)]() mutable {
      if (!is_there(slot, pid)) return;
      workers_[slot].is_busy = false;
      say(slot, id, std::move(message));
      if (is_there(slot, pid)) work(slot);
    });
  }

  // What it says, after `seconds`.
  FromWorker answer(Worker& worker, const ToWorker& request, double& seconds) {
    return std::visit(
        Overloaded{
            [&](const Lease& lease) -> FromWorker {
              if (!lease.roles.learner) return WorkerReady{};
              // Its state comes back from where its points are.
              if (!lease.point_path.empty()) seconds = recovery_point_seconds(costs_);
              worker.learned = lease.point.version;
              return WorkerReady{worker.learned, weights_name(worker.learned), 1};
            },
            [&](const JudgeGroups& judge) -> FromWorker {
              seconds = last_verdict_seconds(costs_);
              return played_verdicts(judge, prepared_.job.rewards, options_.seed);
            },
            [&](const LearnShare& share) -> FromWorker { return learn(worker, share, seconds); },
            [&](const PublishPolicy& publish) -> FromWorker {
              if (layout_.is_split) seconds = publish_seconds(costs_);
              result_.change_seconds += seconds;
              return PolicyPublished{publish.version, publish.path, weights_name(publish.version)};
            },
            [&](const LoadPolicy& load) -> FromWorker {
              if (layout_.is_split) seconds = load_seconds(costs_, layout_.width);
              return PolicyLoaded{load.version, load.weights_sha256};
            },
            [&](const SavePoint& save) -> FromWorker {
              // Where the learner is on the devices that generate, these stand still as well.
              (layout_.is_split ? seconds : owed_point_seconds_) += recovery_point_seconds(costs_);
              result_.point_seconds += recovery_point_seconds(costs_);
              PointWritten written{.version = save.version,
                                   .weights_sha256 = weights_name(save.version),
                                   .files = {{"whole", "0"}}};
              for (const PolicyFile& policy : save.policies) {
                written.policies.push_back({policy.version, weights_name(policy.version)});
              }
              return written;
            },
            [](const auto&) -> FromWorker {
              return WorkFailed{{ErrorCode::kInternal, "asked for what is not simulated"}};
            },
        },
        request);
  }

  FromWorker learn(Worker& worker, const LearnShare& share, double& seconds) {
    double tokens = 0, squares = 0;
    for (const SequenceToLearn& one : share.own) {
      const double whole = length_of(one.id) + inputs_.lengths.prompt_tokens;
      tokens += whole;
      squares += whole * whole;
    }
    for (const SequenceFacts& one : share.sequences) {
      result_.staleness_mean += one.staleness_mean;
      result_.staleness_max =
          std::max(result_.staleness_max, static_cast<int64_t>(one.staleness_max));
      ++num_learned_;
    }
    const auto ranks = static_cast<double>(layout_.learner.devices);
    const double learning = learn_step_seconds(costs_, tokens, squares, ranks);
    const double reference =
        prepared_.job.grpo.kl_coef != 0 ? reference_seconds(costs_, tokens, squares, ranks) : 0;
    // Who has generated gives its room to who learns, and takes it back: once a round.
    const bool begins = (number(share.version) - 1) %
                            static_cast<uint64_t>(prepared_.job.grpo.minibatches_per_round) ==
                        0;
    const double change = begins && !layout_.is_split ? role_switch_seconds(costs_, layout_) : 0;
    result_.learn_seconds += learning;
    result_.reference_seconds += reference;
    result_.change_seconds += change;
    seconds = learning + reference + change + std::exchange(owed_point_seconds_, 0);
    worker.learned = share.version;
    StepLearned learned;
    StepMetrics& metrics = learned.metrics;
    metrics.stage = share.stage;
    metrics.version = share.version;
    metrics.loss = 1;
    metrics.grad_norm = 1;
    metrics.learning_rate = share.learning_rate;
    for (const SequenceFacts& facts : share.sequences) metrics.tokens_learned += facts.num_tokens;
    learned.digest = weights_name(share.version);
    return learned;
  }

  // ---- Generation.

  // Of a round's responses, drawn when somebody asks first.
  const std::vector<double>& lengths_of(uint64_t round) {
    const auto found = lengths_.find(round);
    if (found != lengths_.end()) return found->second;
    const GrpoSpec& grpo = prepared_.job.grpo;
    const double step =
        (static_cast<double>(round) + 0.5) / static_cast<double>(result_.rounds) * steps_;
    return lengths_[round] = sample_lengths(inputs_.lengths.at(step), grpo.prompts_per_round,
                                            grpo.group_size, options_.seed, round);
  }
  // Prompts that replace dropped ones are as long as those.
  double length_of(const TrajectoryId& id) {
    const GrpoSpec& grpo = prepared_.job.grpo;
    const auto prompt = id.group.ordinal % static_cast<uint64_t>(grpo.prompts_per_round);
    return lengths_of(
        number(id.group.round))[prompt * static_cast<uint64_t>(grpo.group_size) + id.sample];
  }

  void begin_generation(uint32_t slot, uint64_t id, GenerateGroups request) {
    Worker& worker = workers_[slot];
    auto generation = std::make_shared<Generation>();
    Generation& g = *generation;
    g.id = id;
    g.versions = {{request.version, 0}};
    g.request = std::move(request);
    g.since = events_.now();
    std::vector<double> all;
    for (size_t i = 0; i < g.request.groups.size(); ++i) {
      const PromptGroup& group = g.request.groups[i];
      double longest = 0;
      for (uint32_t k = 0; k < group.num_samples; ++k) {
        all.push_back(length_of({group.id, k}));
        longest = std::max(longest, all.back());
      }
      g.ends.emplace_back(longest, i);  // Tokens, for now.
    }
    g.responses = static_cast<int64_t>(all.size());
    g.pace = pace_of(std::move(all), inputs_, layout_);
    for (auto& [end, index] : g.ends) end = g.pace.seconds_at(end);
    std::sort(g.ends.begin(), g.ends.end());
    const double prompts = static_cast<double>(g.request.groups.size());
    const double prompt = inputs_.lengths.prompt_tokens;
    g.begun = events_.now() + prefill_seconds(costs_, prompts * prompt, prompts * prompt * prompt,
                                              static_cast<double>(layout_.width));
    worker.generation = std::move(generation);
    next_group(slot);
  }

  // At the time of the next group's end, as far as that is known.
  void next_group(uint32_t slot) {
    Worker& worker = workers_[slot];
    Generation& g = *worker.generation;
    ++g.stamp;
    events_.at(g.begun + g.ends[g.next].first,
               [this, slot, pid = worker.pid, generation = worker.generation, stamp = g.stamp] {
                 if (!is_there(slot, pid) || workers_[slot].generation != generation ||
                     generation->stamp != stamp) {
                   return;
                 }
                 end_group(slot, *generation);
               });
  }

  void end_group(uint32_t slot, Generation& g) {
    Worker& worker = workers_[slot];
    const std::shared_ptr<Generation> keeps = worker.generation;
    const bool is_wanted = g.id > worker.cancelled;
    GroupsGenerated message;
    if (is_wanted)
      message.groups.push_back(finished_group(g, g.request.groups[g.ends[g.next].second]));
    ++g.next;
    message.is_last = g.next == g.ends.size();
    const bool is_over = message.is_last || !is_wanted;
    const uint64_t pid = worker.pid, id = g.id;
    if (is_over) {
      end_generation(worker);
      worker.is_busy = false;
    }
    if (is_wanted) say(slot, id, std::move(message));
    if (!is_there(slot, pid)) return;
    if (is_over) {
      work(slot);
    } else {
      next_group(slot);
    }
  }

  void end_generation(Worker& worker) {
    const Generation& g = *worker.generation;
    result_.generating_busy += static_cast<double>(layout_.width) * (events_.now() - g.since);
    if (options_.keeps_spans) keep_spans(static_cast<uint32_t>(&worker - workers_.data()), g);
    if (g.next < g.ends.size()) {
      // Given up or lost: so far had everybody come who was still at it.
      const double reached = g.pace.tokens_at(events_.now() - g.begun);
      for (size_t i = g.next; i < g.ends.size(); ++i) {
        const PromptGroup& group = g.request.groups[g.ends[i].second];
        for (uint32_t k = 0; k < group.num_samples; ++k) {
          result_.tokens_again += std::min(reached, length_of({group.id, k}));
        }
      }
    }
    worker.generation.reset();
  }

  // A request in a few pieces, so that one sees when its last responses are alone.
  void keep_spans(uint32_t slot, const Generation& g) {
    constexpr size_t kPieces = 8;
    const size_t groups = g.ends.size(), pieces = std::min(groups, kPieces);
    const auto round = static_cast<int64_t>(number(g.request.groups.front().id.round));
    double begin = g.since;
    for (size_t i = 0; i < pieces; ++i) {
      const size_t last = groups * (i + 1) / pieces - 1;
      const double end = std::min(events_.now(), g.begun + g.ends[last].first);
      if (end <= begin) continue;
      result_.spans.push_back({slot, false, begin, end, round,
                               1 - static_cast<double>(i) / static_cast<double>(pieces)});
      begin = end;
    }
  }

  GeneratedGroup finished_group(const Generation& g, const PromptGroup& from) {
    GeneratedGroup group{.id = from.id, .purpose = from.purpose, .version = g.request.version};
    const auto most = static_cast<uint32_t>(prepared_.job.rollout.max_response_tokens);
    for (uint32_t i = 0; i < from.num_samples; ++i) {
      const double length = length_of({from.id, i});
      result_.tokens += length;
      group.responses.push_back(played_response(length, scale_, most, g.versions));
    }
    return group;
  }

  // What is being generated goes on by the new version, once it is there and caches are computed.
  void load_in_flight(uint32_t slot, uint64_t id, const LoadPolicy& load) {
    Worker& worker = workers_[slot];
    Generation& g = *worker.generation;
    const double reached = g.pace.tokens_at(events_.now() - g.begun);
    double alive = 0;
    for (size_t i = g.next; i < g.ends.size(); ++i) {
      alive += g.request.groups[g.ends[i].second].num_samples;
    }
    const double context = reached + inputs_.lengths.prompt_tokens;
    const double pause = load_seconds(costs_, layout_.width) +
                         prefill_seconds(costs_, alive * context, alive * context * context,
                                         static_cast<double>(layout_.width));
    g.begun += pause;
    g.versions.emplace_back(load.version, reached);
    next_group(slot);
    events_.after(pause, [this, slot, pid = worker.pid, id, load] {
      if (is_there(slot, pid)) say(slot, id, PolicyLoaded{load.version, load.weights_sha256});
    });
  }

  // ---- Failures of devices, each as likely as another.

  void next_failure() {
    kernels::RandomStream random(options_.seed, kernels::StreamId::kPlan, ++num_failures_,
                                 kFailureTag);
    const double devices = static_cast<double>(subject_.cluster.devices());
    const double delay = -std::log(1 - random.uniform()) * costs_.mtbf_seconds / devices;
    const double device = std::floor(random.uniform() * devices);
    events_.after(delay, [this, device] {
      fail(device);
      next_failure();
    });
  }

  void fail(double device) {
    ++result_.failures;
    const auto ranks = layout_.is_split ? static_cast<double>(layout_.learner.devices) : 0;
    const auto replica =
        static_cast<uint32_t>(std::max(0.0, device - ranks) / static_cast<double>(layout_.width));
    if (layout_.is_split && device < ranks) {
      lose(0);
    } else {
      const uint32_t slot = replica + (layout_.is_split ? 1 : 0);
      if (slot >= static_cast<uint32_t>(layout_.workers()) + (layout_.is_split ? 1 : 0)) return;
      lose(slot);
      if (!layout_.is_split && slot != 0) lose(0);  // A rank of the learner was there, too.
    }
  }
  // Who is on its way is only late.
  void lose(uint32_t slot) {
    if (workers_[slot].is_alive && workers_[slot].is_started && !machine_->end()) die(slot);
  }

  const PlanSubject& subject_;
  const DrawnInputs& inputs_;
  const CostInputs& costs_;
  const PlanLayout& layout_;
  const SimulationOptions& options_;
  const double steps_;
  int64_t scale_ = 1;
  EventQueue events_{};
  actors::ClusterQueue queue_{actors::ClusterQueue::Options{}};
  MemoryStore store_{};
  Sink sink_{*this};
  actors::PreparedJob prepared_{};
  std::unique_ptr<actors::JobRun> machine_{};
  std::vector<Worker> workers_{};
  std::map<uint64_t, std::vector<double>> lengths_{};
  double heard_at_ = 0;
  double owed_point_seconds_ = 0;
  uint64_t next_pid_ = 0;
  uint64_t num_failures_ = 0;
  uint64_t num_learned_ = 0;
  uint64_t num_steps_ = 0;
  std::vector<double> round_ends_{};
  SimulationResult result_{};
};

}  // namespace

Result<SimulationResult> simulate_job(const PlanSubject& subject, const DrawnInputs& inputs,
                                      const PlanLayout& layout, const SimulationOptions& options) {
  if (subject.job.grpo.steps <= 0) {
    return invalid_argument("grpo.steps is 0: there is nothing to simulate; see troupe plan");
  }
  return Simulation(subject, inputs, layout, options).run();
}

}  // namespace troupe::cluster

// What a view knows about a run: the events so far, boiled down to what is shown.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/metrics_sink.h"
#include "schemas/job.h"
#include "schemas/metrics.h"
#include "schemas/monotonic_clock.h"

namespace troupe::cluster {

// Seconds since any fixed moment, never going back.
using SecondsClock = std::function<double()>;

// A series of any length in bounded memory: when it is full, neighbours are averaged.
class Series {
 public:
  static constexpr size_t kValuesMax = 4096;

  void add(double value);
  const std::vector<float>& values() const { return values_; }

 private:
  std::vector<float> values_{};
  uint64_t per_value_ = 1;  // Additions behind each of values_.
  double sum_ = 0;          // Of the `pending_` that are not a value yet.
  uint64_t pending_ = 0;
};

// Times are seconds of any one clock, given by the caller.
struct RunState {
  static constexpr size_t kNotesMax = 16;
  static constexpr size_t kAnswersMax = 24;

  static constexpr int kWorkerColumnsMax = 200;  // Of what a worker says of itself.

  std::string name{};
  int64_t num_parameters = 0;
  int64_t grpo_steps = 0;  // Of the job: what follows the cold start.
  double started = 0;

  std::string activity{};  // Empty when nothing long is under way.
  int64_t activity_done = 0;
  int64_t activity_total = 0;

  std::optional<StepMetrics> step{};
  // The stage's first step that was seen, from which its pace is known.
  int64_t pace_step = 0;
  double pace_time = 0;
  double step_time = 0;

  Series losses{};      // SFT
  Series rewards{};     // GRPO
  Series accuracies{};  // GRPO
  double rollout_tokens_per_second = 0;
  double learner_tokens_per_second = 0;

  std::optional<EvalMetrics> first_evaluation{};
  std::optional<EvalMetrics> evaluation{};
  struct Answer {
    PolicyVersion version{};
    Trace trace{};
  };
  std::deque<Answer> answers{};     // To held-out problems, newest evaluation first.
  std::deque<std::string> notes{};  // Newest last.

  std::optional<RunSample> latest{};  // Workers, queues, bill.

  std::string end_state{};  // Empty while it runs.
  std::string weights_sha256{};
  Ledger ledger{};

  void start(const JobSpec& job, std::string_view weights, int64_t parameters, double now);
  void progress(std::string_view what, int64_t done, int64_t total);
  void add(const StepMetrics& metrics, double now);
  void add(const EvalMetrics& metrics, const std::vector<Trace>& traces);
  void sample(const RunSample& sample);
  void note(std::string_view line);
  void end(const Ledger& totals, std::string_view state, std::string_view weights);

  // Seconds until the stage is done at the pace so far; nothing before there is a pace.
  std::optional<double> stage_seconds_left() const;
  // No stage follows: what is left of the stage is what is left of the job.
  bool is_last_stage() const;
};

// Keeps a RunState for whoever draws it.
class StateSink : public actors::MetricsSink {
 public:
  explicit StateSink(SecondsClock now) : now_(std::move(now)) {}

  const RunState& state() const { return state_; }

  void run_started(const JobSpec& job, std::string_view weights_sha256,
                   int64_t num_parameters) override {
    state_.start(job, weights_sha256, num_parameters, now_());
  }
  void progressed(std::string_view activity, int64_t done, int64_t total) override {
    state_.progress(activity, done, total);
  }
  void step_committed(const StepMetrics& step) override { state_.add(step, now_()); }
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) override {
    state_.add(evaluation, traces);
  }
  void sampled(const RunSample& sample) override { state_.sample(sample); }
  void noted(std::string_view line) override { state_.note(line); }
  void run_ended(const Ledger& ledger, std::string_view state,
                 std::string_view weights_sha256) override {
    state_.end(ledger, state, weights_sha256);
  }

 private:
  SecondsClock now_;
  RunState state_{};
};

}  // namespace troupe::cluster

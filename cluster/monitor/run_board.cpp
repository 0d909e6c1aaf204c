#include "cluster/monitor/run_board.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

constexpr double kSampleSeconds = 0.9;  // Samples that come faster are one row.
constexpr const char* kTime = "time";
constexpr const char* kVersion = "policy_version";
// By which it is known what a line is.
constexpr const char* kOfStep = "stage";
constexpr const char* kOfEvaluation = "eval/pass_at_1";
constexpr const char* kOfSample = "workers/ready";

void add_values(CurveValues& values, const std::string& name, const nlohmann::json& value) {
  if (value.is_boolean()) {
    values.emplace_back(name, value.get<bool>() ? 1 : 0);
  } else if (value.is_number()) {
    values.emplace_back(name, value.get<double>());
  }
}

double number_in(const nlohmann::json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_number() ? found->get<double>() : 0;
}

}  // namespace

CurveValues values_in(const nlohmann::json& line) {
  CurveValues values;
  for (const auto& [name, value] : line.items()) {
    if (name == kTime || name == kVersion) continue;
    if (value.is_object()) {
      for (const auto& [part, of_part] : value.items()) {
        add_values(values, name + "/" + part, of_part);
      }
    } else if (value.is_array() && value.size() == 2) {
      add_values(values, name + "/low", value[0]);
      add_values(values, name + "/high", value[1]);
    } else {
      add_values(values, name, value);
    }
  }
  return values;
}

void RunBoard::put(const nlohmann::json& line) {
  const double time = number_in(line, kTime);
  if (line.contains(kOfStep)) {
    steps_.add(number_in(line, kVersion), time, values_in(line));
  } else if (line.contains(kOfEvaluation)) {
    evaluations_.add(number_in(line, kVersion), time, values_in(line));
  } else {
    samples_.add(time, time, values_in(line));
  }
  ++changes_;
}

void RunBoard::start(const JobSpec& job, std::string_view weights, int64_t parameters,
                     double time) {
  state_.start(job, weights, parameters, time);
  ++changes_;
}

void RunBoard::progress(std::string_view activity, int64_t done, int64_t total) {
  state_.progress(activity, done, total);
  ++changes_;
}

MetricLine RunBoard::add(const StepMetrics& step, double time) {
  state_.add(step, time);
  MetricLine line = to_line(step);
  line[kTime] = time;
  put(nlohmann::json(line));
  return line;
}

MetricLine RunBoard::add(const EvalMetrics& evaluation, const std::vector<Trace>& traces,
                         double time) {
  state_.add(evaluation, traces);
  traces_ = traces;
  MetricLine line = to_line(evaluation);
  line[kTime] = time;
  put(nlohmann::json(line));
  return line;
}

MetricLine RunBoard::sample(const RunSample& sample, double time) {
  state_.sample(sample);
  for (PieceOfWork& piece : work_in(sample, time)) restore(piece);
  pace_ = worker_pace_.add(sample, time);
  MetricLine line = to_line(sample);
  line[kTime] = time;
  const WaitingShares waits = waiting_in(sample);
  line["wait/learner_for_rollout"] = waits.learner_for_rollout;
  line["wait/learner_for_verifier"] = waits.learner_for_verifier;
  line["wait/learner_for_store"] = waits.learner_for_store;
  line["wait/rollout_for_learner"] = waits.rollout_for_learner;
  line["wait/rollout_for_verifier"] = waits.rollout_for_verifier;
  if (pace_.num_workers > 0) {
    line["tokens_per_second/rollout_mean"] = pace_.mean;
    line["tokens_per_second/rollout_worst"] = pace_.worst;
  }
  line["tokens/generated_total"] = sample.ledger.tokens_generated;
  line["tokens/learned_total"] = sample.ledger.tokens_learned;
  if (samples_.is_empty() || time - samples_.last_x() >= kSampleSeconds) {
    put(nlohmann::json(line));
  }
  ++changes_;
  return line;
}

void RunBoard::note(std::string_view line, double time) {
  const std::string text = printable(line.substr(0, kEventBytesMax));
  state_.note(text);
  events_.push_back({next_event_++, time, text});
  if (events_.size() > kEventsMax) events_.pop_front();
  ++changes_;
}

void RunBoard::end(const Ledger& ledger, std::string_view state, std::string_view weights,
                   double time) {
  state_.end(ledger, state, weights);
  note("the run is " + std::string(state), time);
  make_coarser();
}

bool RunBoard::restore(const nlohmann::json& line) {
  if (!line.is_object()) return false;
  if (!line.contains(kOfStep) && !line.contains(kOfEvaluation) && !line.contains(kOfSample)) {
    return false;
  }
  const double time = number_in(line, kTime);
  if (line.contains(kOfSample) && !samples_.is_empty() &&
      time - samples_.last_x() < kSampleSeconds) {
    return true;
  }
  put(line);
  return true;
}

void RunBoard::restore(const PieceOfWork& work) {
  work_.push_back(work);
  if (work_.size() > kWorkMax) work_.pop_front();
  ++changes_;
}

void RunBoard::follow(RunBoard past) {
  for (const PieceOfWork& piece : work_) past.restore(piece);
  work_ = std::move(past.work_);
  past.steps_.append(steps_);
  past.evaluations_.append(evaluations_);
  past.samples_.append(samples_);
  steps_ = std::move(past.steps_);
  evaluations_ = std::move(past.evaluations_);
  samples_ = std::move(past.samples_);
  ++changes_;
}

void RunBoard::make_coarser() {
  for (CurveTable* table : {&steps_, &evaluations_, &samples_}) {
    table->make_coarser(kRowsOfEndedMax);
  }
}

}  // namespace troupe::cluster

#include "cluster/monitor/run_state.h"

#include <map>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

std::string shown(std::string_view text) {
  return fit(printable(text), RunState::kWorkerColumnsMax);
}

std::map<std::string, int64_t> shown(const std::map<std::string, int64_t>& counts) {
  std::map<std::string, int64_t> out;
  for (const auto& [name, n] : counts) out[shown(name)] += n;
  return out;
}

// Workers and stores of another host or version write the names.
Ledger shown(Ledger ledger) {
  ledger.trajectories_dropped = shown(ledger.trajectories_dropped);
  ledger.verdicts = shown(ledger.verdicts);
  return ledger;
}

}  // namespace

void Series::add(double value) {
  sum_ += value;
  if (++pending_ < per_value_) return;
  values_.push_back(static_cast<float>(sum_ / static_cast<double>(pending_)));
  sum_ = 0;
  pending_ = 0;
  if (values_.size() < kValuesMax) return;
  for (size_t i = 0; i < kValuesMax / 2; ++i) {
    values_[i] = (values_[2 * i] + values_[2 * i + 1]) / 2;
  }
  values_.resize(kValuesMax / 2);
  per_value_ *= 2;
}

void RunState::start(const JobSpec& job, std::string_view weights, int64_t parameters, double now) {
  *this = {};
  name = printable(job.name);
  weights_sha256 = weights;
  num_parameters = parameters;
  grpo_steps = job.grpo.steps;
  started = now;
}

void RunState::progress(std::string_view what, int64_t done, int64_t total) {
  const bool is_over = total > 0 && done >= total;
  activity = is_over ? "" : printable(what);
  activity_done = done;
  activity_total = total;
}

void RunState::add(const StepMetrics& metrics, double now) {
  if (!step || step->stage != metrics.stage) {
    pace_step = metrics.stage_step;
    pace_time = now;
  }
  step = metrics;
  step_time = now;
  if (metrics.stage == Stage::kSft) {
    losses.add(metrics.loss);
  } else {
    rewards.add(metrics.reward_mean);
    accuracies.add(metrics.accuracy);
  }
  // Generation is reported once per round.
  if (metrics.generate_seconds > 0) {
    rollout_tokens_per_second =
        static_cast<double>(metrics.tokens_generated) / metrics.generate_seconds;
  }
  if (metrics.learn_seconds > 0) {
    learner_tokens_per_second = static_cast<double>(metrics.tokens_learned) / metrics.learn_seconds;
  }
}

void RunState::add(const EvalMetrics& metrics, const std::vector<Trace>& traces) {
  activity.clear();
  if (!first_evaluation) first_evaluation = metrics;
  evaluation = metrics;
  for (auto trace = traces.rbegin(); trace != traces.rend(); ++trace) {
    answers.push_front({metrics.version,
                        {printable(trace->prompt), printable(trace->response),
                         printable(trace->gold), trace->is_solved}});
  }
  if (answers.size() > kAnswersMax) answers.resize(kAnswersMax);
}

void RunState::sample(const RunSample& sample) {
  latest = sample;
  for (WorkerStatus& worker : latest->workers) {
    worker.roles = shown(worker.roles);
    worker.activity = shown(worker.activity);
  }
  ledger = shown(sample.ledger);
}

void RunState::note(std::string_view line) {
  notes.push_back(printable(line));
  if (notes.size() > kNotesMax) notes.pop_front();
}

void RunState::end(const Ledger& totals, std::string_view state, std::string_view weights) {
  activity.clear();
  ledger = shown(totals);
  end_state = printable(state);
  weights_sha256 = weights;
}

std::optional<double> RunState::stage_seconds_left() const {
  if (!step || step->stage_step <= pace_step) return std::nullopt;
  const double per_step =
      (step_time - pace_time) / static_cast<double>(step->stage_step - pace_step);
  return per_step * static_cast<double>(step->stage_steps - step->stage_step);
}

bool RunState::is_last_stage() const {
  return step && (step->stage == Stage::kGrpo || grpo_steps == 0);
}

}  // namespace troupe::cluster

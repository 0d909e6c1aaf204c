// A MetricsSink that remembers what it was told, as a line per event and as the values themselves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "actors/metrics_sink.h"

namespace troupe::tests {

class RecordingSink : public actors::MetricsSink {
 public:
  void run_started(const JobSpec&, std::string_view weights_sha256, int64_t parameters) override {
    events.push_back("started");
    first_weights = weights_sha256;
    num_parameters = parameters;
  }
  void progressed(std::string_view activity, int64_t done, int64_t total) override {
    is_progress_sane = is_progress_sane && done >= 0 && done <= total;
    if (on_progress) on_progress(activity);
  }
  void step_committed(const StepMetrics& step) override {
    events.push_back((step.stage == Stage::kSft ? "sft " : "grpo ") +
                     std::to_string(step.stage_step) + "/" + std::to_string(step.stage_steps) +
                     " v" + std::to_string(number(step.version)));
    steps.push_back(step);
  }
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& some) override {
    events.push_back("evaluated v" + std::to_string(number(evaluation.version)));
    evaluations.push_back(evaluation);
    traces = some;
  }
  void sampled(const RunSample& sample) override { samples.push_back(sample); }
  void noted(std::string_view line) override { notes.emplace_back(line); }
  void run_ended(const Ledger& final_ledger, std::string_view state,
                 std::string_view weights_sha256) override {
    events.push_back("ended " + std::string(state));
    ledger = final_ledger;
    last_weights = weights_sha256;
  }

  std::vector<std::string> events{};
  std::vector<std::string> notes{};
  std::vector<StepMetrics> steps{};
  std::vector<EvalMetrics> evaluations{};
  std::vector<Trace> traces{};
  std::vector<RunSample> samples{};
  Ledger ledger{};
  std::string first_weights{}, last_weights{};
  int64_t num_parameters = 0;
  bool is_progress_sane = true;
  std::function<void(std::string_view activity)> on_progress{};
};

}  // namespace troupe::tests

// A run's metrics as JSON lines in HOME/metrics.jsonl, under the names that the field uses, and
// passed on to a view.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "actors/metrics_sink.h"

namespace troupe::cluster {

class MetricsLog : public actors::MetricsSink {
 public:
  // The file is begun, or gone on with, when the run starts, so that a refused job leaves nothing.
  // `view` outlives it.
  MetricsLog(std::string path, actors::MetricsSink& view, bool goes_on = false)
      : path_(std::move(path)), view_(view), goes_on_(goes_on) {}

  void run_started(const JobSpec& job, std::string_view weights_sha256,
                   int64_t num_parameters) override;
  void progressed(std::string_view activity, int64_t done, int64_t total) override;
  void step_committed(const StepMetrics& step) override;
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) override;
  void sampled(const RunSample& sample) override;
  void noted(std::string_view line) override;
  void run_ended(const Ledger& ledger, std::string_view state,
                 std::string_view weights_sha256) override;

 private:
  void write(const std::string& line);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string path_;
  actors::MetricsSink& view_;
  bool goes_on_;
  std::unique_ptr<std::FILE, Close> file_{};
  std::string waiting_{};  // Whole lines that a full disk has not taken yet.
};

// One line each, without its end.
std::string to_json_line(const StepMetrics& step);
std::string to_json_line(const EvalMetrics& evaluation);
std::string to_json_line(const RunSample& sample);

}  // namespace troupe::cluster

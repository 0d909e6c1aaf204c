// A run's metrics as they happen, in HOME/tensorboard: tensorboard --logdir HOME, or a folder of
// homes. Names are those of metrics.jsonl.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/metrics_sink.h"
#include "cluster/formats/tensorboard_file.h"
#include "cluster/monitor/metrics_log.h"
#include "cluster/monitor/watched_job.h"
#include "schemas/job.h"
#include "schemas/metrics.h"

namespace troupe::cluster {

class TensorBoardSink : public actors::MetricsSink {
 public:
  // What the home has is removed unless the run goes on with it. `now`: seconds since 1970.
  TensorBoardSink(const std::string& home, bool goes_on,
                  std::function<double()> now = seconds_since_1970);

  void run_started(const JobSpec& job, std::string_view weights_sha256,
                   int64_t num_parameters) override;
  void step_committed(const StepMetrics& step) override;
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) override;
  // Shares and speeds of a moment are told with the next step.
  void sampled(const RunSample& sample) override;

 private:
  // At the first thing that there is to tell.
  void open(int64_t step);
  void add_numbers(int64_t step, const MetricLine& line);

  const std::string folder_;
  const bool goes_on_;
  const std::function<double()> now_;
  JobSpec job_{};
  std::optional<RunSample> moment_{};
  std::optional<TensorBoardFile> file_{};
};

// The job's settings, "grpo.steps" and so on.
std::vector<HyperParameter> hyper_parameters(const JobSpec& job);

}  // namespace troupe::cluster

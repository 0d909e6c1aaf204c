// Where a run reports what happens; cluster/monitor implements it. Calls come from one thread, in
// order, and must return quickly.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schemas/job.h"
#include "schemas/metrics.h"

namespace troupe::actors {

class MetricsSink {
 public:
  virtual ~MetricsSink() = default;

  virtual void run_started(const JobSpec& job, std::string_view weights_sha256,
                           int64_t num_parameters) = 0;
  // Something long began, e.g. "evaluating", with 0 <= done <= total units of work; repeated as it
  // goes on.
  virtual void progressed(std::string_view activity, int64_t done, int64_t total) = 0;
  virtual void step_committed(const StepMetrics& step) = 0;
  virtual void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) = 0;
  // Twice a second and when a worker comes or goes.
  virtual void sampled(const RunSample& sample) = 0;
  // Something a person should know: a skipped step, a dropped group, a checkpoint.
  virtual void noted(std::string_view line) = 0;
  virtual void run_ended(const Ledger& ledger, std::string_view state,
                         std::string_view weights_sha256) = 0;
};

}  // namespace troupe::actors

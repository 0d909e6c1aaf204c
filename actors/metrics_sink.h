// Where a run reports what happens; cluster/monitor implements it. Calls come from one thread, in
// order, and must return quickly. A sink listens to what it wants to know and passes over the rest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schemas/job.h"
#include "schemas/metrics.h"

namespace troupe {
struct GroupRecord;
}
namespace troupe::model {
class Tokenizer;
}

namespace troupe::actors {

struct PromptTokens;

class MetricsSink {
 public:
  virtual ~MetricsSink() = default;

  virtual void run_started(const JobSpec& /*job*/, std::string_view /*weights_sha256*/,
                           int64_t /*num_parameters*/) {}
  // Something long began, e.g. "evaluating", with 0 <= done <= total units of work; repeated as it
  // goes on.
  virtual void progressed(std::string_view /*activity*/, int64_t /*done*/, int64_t /*total*/) {}
  // Every response of a group has its verdict. After a kill the same group may be told again.
  virtual void group_judged(const GroupRecord& /*group*/, const PromptTokens& /*prompt*/,
                            const model::Tokenizer& /*tokenizer*/) {}
  virtual void step_committed(const StepMetrics& /*step*/) {}
  virtual void evaluated(const EvalMetrics& /*evaluation*/, const std::vector<Trace>& /*traces*/) {}
  // Twice a second and when a worker comes or goes.
  virtual void sampled(const RunSample& /*sample*/) {}
  // Something a person should know: a skipped step, a dropped group, a checkpoint.
  virtual void noted(std::string_view /*line*/) {}
  virtual void run_ended(const Ledger& /*ledger*/, std::string_view /*state*/,
                         std::string_view /*weights_sha256*/) {}
};

}  // namespace troupe::actors

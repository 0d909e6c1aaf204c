// A whole job in one process, in order: cold start, then rounds of generate, verify, admit, learn,
// publish. The plainest form of the loop, and the definition of what a job's history is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/controller/evaluate.h"
#include "actors/metrics_sink.h"
#include "kernels/backend.h"
#include "schemas/job.h"
#include "schemas/metrics.h"
#include "schemas/result.h"

namespace troupe::actors {

struct LocalRunOptions {
  std::string home{};  // Checkpoints go to `home`/checkpoints; created when the run begins.
  std::function<bool()> is_interrupted = [] { return false; };
};

struct RunOutcome {
  std::string state = "finished";  // finished | stopped
  int64_t steps = 0;               // SFT and GRPO.
  std::string weights_sha256{};
  std::string checkpoint{};  // Folder of the last one.
  Ledger ledger{};
  std::vector<Evaluation> evaluations{};  // In order; the first follows the cold start.
  double seconds = 0;                     // Of the stages, evaluations included.
};

// Runs `job` to its end, or until interrupted, when it stops at a step's boundary with a
// checkpoint. kInvalidArgument for what is wrong in the job, its data or its model, before anything
// is written; kInternal when the run cannot go on: a rollout's log-probability that the learner
// does not give again bit for bit, or too many steps without a finite gradient.
Result<RunOutcome> run_local(const kernels::Backend& backend, const JobSpec& job,
                             const LocalRunOptions& options, MetricsSink& sink);

// The cores that this process may use.
int available_cores();

}  // namespace troupe::actors

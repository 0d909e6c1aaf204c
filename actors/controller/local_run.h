// A whole job in one process and one thread, in order: the same state machine and the same roles as
// a run of many processes, without messages, store or supervision. For tests, which compare it with
// a second telling of the rules, and as the plainest form of the loop.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "actors/metrics_sink.h"
#include "kernels/backend.h"
#include "schemas/job.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::actors {

struct LocalRunOptions {
  std::string home{};  // Recovery points go to `home`/checkpoints; empty: none are saved.
  std::function<bool()> is_interrupted = [] { return false; };
};

struct RunOutcome {
  JobState state = JobState::kFinished;  // Finished, or paused when it was interrupted.
  int64_t steps = 0;                     // SFT and GRPO.
  std::string weights_sha256{};
  std::string checkpoint{};  // Folder of the last one.
  Ledger ledger{};
  std::vector<EvaluationRecord> evaluations{};  // In order, without the cold start's gates.
  double seconds = 0;                           // Of the stages, evaluations included.
};

// Runs `job` to its end, or until interrupted, when it stops at a step's boundary with a recovery
// point. kInvalidArgument for what is wrong in the job, its data or its model, before anything is
// written; kInternal when the run cannot go on.
Result<RunOutcome> run_local(const kernels::Backend& backend, const JobSpec& job,
                             const LocalRunOptions& options, MetricsSink& sink);

}  // namespace troupe::actors

// One job on this machine, with everything that a cluster has: this process is its head, the
// workers are processes of their own, the store lies in the job's home.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "actors/metrics_sink.h"
#include "kernels/backend.h"
#include "schemas/job.h"
#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::cluster {

class Dashboard;

struct RunOptions {
  std::string home{};
  bool resumes = false;     // Goes on with the job that `home` holds.
  bool overwrites = false;  // Begins afresh where `home` holds an ended job.
  // The home of a finished run of this job whose groups are all there: they are learned again.
  std::string replays{};
  // Programs that may verify without a sandbox; from whoever runs this, never from the job.
  std::vector<TrustedProgram> trusted_programs{};
  std::function<bool()> is_interrupted = [] { return false; };
  Dashboard* dashboard = nullptr;        // Shows the job while it runs; outlives the call.
  std::function<void()> begins = [] {};  // Called once, when nothing is refused any more.
};

struct RunOutcome {
  JobRecord record{};
  Ledger ledger{};
  std::vector<EvaluationRecord> evaluations{};  // In order, without the cold start's gates.
  double seconds = 0;                           // Of this run, from beginning to end.
};

// kInvalidArgument, with what to do, where a run may not begin in this home: it holds a job that is
// not to be resumed or overwritten, or folders that a run would remove and that no run has made.
Status check_home(const RunOptions& options);

// Runs `job` to its end, or until interrupted, when it stops at a step's boundary with a recovery
// point. A job that is resumed may have more grpo.steps than it had: it goes on to them, also when
// it was finished, and ends as one that had them from the beginning. Else a job that is finished or
// cancelled is answered from the store; one that failed is tried again. kInvalidArgument, before
// anything is written, for what is wrong in the job, its data or its model; for check_home; and for
// a resume of another job than that, with the keys that differ. kInternal when what is replayed
// ends with other weights.
Result<RunOutcome> run_embedded(const kernels::Backend& backend, const JobSpec& job,
                                const RunOptions& options, actors::MetricsSink& view);

}  // namespace troupe::cluster

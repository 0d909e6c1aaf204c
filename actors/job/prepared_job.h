// A job with everything that was looked at before it may begin: its data, its policy's shape, and
// that it fits this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/job/job_data.h"
#include "kernels/backend.h"
#include "model/training/learner.h"
#include "model/transformer/config.h"
#include "schemas/job.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::actors {

struct PreparedJob {
  JobSpec job{};
  JobData data{};
  model::TransformerConfig config{};
  int64_t context_max = 1;    // Longest prompt and response together.
  std::string data_sha256{};  // Of the files that the job reads, its starting policy included.
  std::vector<TrustedProgram> trusted_programs{};  // Those that its rewards name.
};

// Everything that can be refused is refused here, before anything is written: kInvalidArgument,
// naming the key or the file. `trusted_programs` are the head's; a client that does not know them
// gives nothing, and the names are left for the head to refuse.
Result<PreparedJob> prepare_job(const kernels::Backend& backend, const JobSpec& job,
                                const std::optional<std::vector<TrustedProgram>>& trusted_programs);

// Threads that each worker of a role gets: what the job says, else the cores shared out.
int rollout_threads(const JobSpec& job);
int learner_threads(const JobSpec& job);
int verifier_threads(const JobSpec& job);
int verifier_workers(const JobSpec& job);  // One per core where the job says 0.

model::Learner::Options learner_options(const JobSpec& job, int64_t context_max);

// The cores that this process may use.
int available_cores();

}  // namespace troupe::actors

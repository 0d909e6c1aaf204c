// What of a job decides its history: as a hash, and key by key.
#pragma once

#include <string>

#include "schemas/job.h"

namespace troupe::cluster {

// SHA-256 of everything that decides the history of the job: all keys but [resources], [eval],
// [prices], how often checkpoints are written and kept, and where files lie; what is in them has a
// digest of its own.
std::string specification_hash(const JobSpec& job);

// The keys that decide the history and differ, with both values: "seed is 2, there it is 1". Says
// what else may differ where no key does.
std::string differences(const JobSpec& job, const JobSpec& there);

}  // namespace troupe::cluster

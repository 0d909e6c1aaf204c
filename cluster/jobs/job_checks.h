// What the values of a job may be, whoever set them.
#pragma once

#include <optional>
#include <string>

#include "cluster/jobs/job_keys.h"
#include "schemas/job.h"

namespace troupe::cluster {

// A fault of one key; where the key was written is added by whoever knows.
struct Fault {
  std::string path{};
  std::string message{};
};
using Finding = std::optional<Fault>;

// Of one key's value; of all keys and of what they say together.
Finding check_key(const Key& key, JobSpec& job);
Finding find_fault(JobSpec job);

}  // namespace troupe::cluster

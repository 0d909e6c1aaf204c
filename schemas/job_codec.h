// JobSpec <-> bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe {

// kInvalidArgument, naming the field, unless every text and list is short enough to be sent.
// Nothing else of a job is judged here: what its keys may be is the business of whoever reads job
// files.
Status validate(const JobSpec& job);

// `job` must be valid.
std::vector<std::byte> encode(const JobSpec& job);

// kCorruption unless `bytes` is one whole message with a job in it. The bytes may come from
// any peer, so no input may crash, over-read or make this allocate much more than its size.
Result<JobSpec> decode_job(std::span<const std::byte> bytes);

}  // namespace troupe

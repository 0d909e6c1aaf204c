// The job file: TOML tables and keys <-> JobSpec. One table of keys drives reading, --set, the
// errors, the canonical text behind the specification hash, and the file that `init` writes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Whose files the job's paths are. The head's are absolute: relative to what, it could not tell.
enum class PathsOf : uint8_t { kThisHost, kHead };

// Reads `text`, which came from the file `origin`, and then applies `overrides` of the form
// "table.key=value" (strings need no quotes). Relative paths, also those in overrides, are taken
// relative to the folder of `origin` and become absolute; of PathsOf::kHead they are refused, but
// for files of rewards, which travel with the job. kInvalidArgument with "origin:line: ..." for
// what is not TOML, a key that does not exist (naming the nearest one, or ours for a peer's name),
// a wrong type, a value out of range and a combination that is not a job.
Result<JobSpec> parse_job(std::string_view text, const std::string& origin,
                          std::span<const std::string> overrides = {},
                          PathsOf paths_of = PathsOf::kThisHost);

Result<JobSpec> load_job(const std::string& path, std::span<const std::string> overrides = {},
                         PathsOf paths_of = PathsOf::kThisHost);

// kInvalidArgument for a path of the job that is relative.
Status check_paths(const JobSpec& job);

// What parse_job checks after reading: kInvalidArgument, naming the keys, unless this version can
// run the job. For jobs that were made in a program.
Status validate(const JobSpec& job);

// A complete, commented job file that parse_job reads back as `job` (paths apart, which become
// absolute). Optional keys that are not set are there as comments.
std::string to_toml(const JobSpec& job);

}  // namespace troupe::cluster

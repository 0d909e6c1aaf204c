// The job file: TOML tables and keys <-> JobSpec. One table of keys drives reading, --set, the
// errors, the canonical text behind the specification hash, and the file that `init` writes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/jobs/job_paths.h"
#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Reads `text`, which came from the file `origin`, and then applies `overrides` of the form
// "table.key=value" (strings need no quotes). Relative paths, also those in overrides, are taken
// relative to the folder of `origin` and become absolute. kInvalidArgument with "origin:line: ..."
// for what is not TOML, a key that does not exist (naming the nearest one, or ours for a peer's
// name), a wrong type, a value out of range and a combination that is not a job.
Result<JobSpec> parse_job(std::string_view text, const std::string& origin,
                          std::span<const std::string> overrides = {});

Result<JobSpec> load_job(const std::string& path, std::span<const std::string> overrides = {});

// A file of this host that a job names by what is in it.
struct FileToSend {
  std::string path{};
  ContentReference reference{};
  uint64_t bytes = 0;
};
struct JobToSend {
  JobSpec job{};
  std::vector<FileToSend> files{};  // Each once.
};

// The same, for a daemon of another host. Absolute paths are that host's. Relative ones are files
// of this host, which are read and are to be sent ahead of the job; kInvalidArgument for one that
// cannot be read, is a folder or has more than kContentBytesMax.
Result<JobToSend> load_job_to_send(const std::string& path,
                                   std::span<const std::string> overrides = {});

// kInvalidArgument for a path of the job that is neither absolute nor names content.
Status check_paths(const JobSpec& job);

// What parse_job checks after reading: kInvalidArgument, naming the keys, unless this version can
// run the job. For jobs that were made in a program.
Status validate(const JobSpec& job);

// A complete, commented job file that parse_job reads back as `job` (paths apart, which become
// absolute). Optional keys that are not set are there as comments.
std::string to_toml(const JobSpec& job);

}  // namespace troupe::cluster

// Sends the files that a job names to a daemon of another host, ahead of the job: those that it has
// not got, in parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cluster/gateway/front_door_client.h"
#include "cluster/jobs/job_file.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct ContentSent {
  size_t files = 0;
  uint64_t bytes = 0;  // Of what the daemon lacked.
};

// Afterwards the daemon has all of them, durably. kInvalidArgument when a file is not any more what
// it was when the job was read; otherwise what the daemon, or the way to it, says.
Result<ContentSent> send_content(FrontDoorClient& client, std::span<const FileToSend> files);

}  // namespace troupe::cluster

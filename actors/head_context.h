// What the actors of a head share. Owned by whoever runs the head, and outlives them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/metrics_sink.h"
#include "actors/replay/group_commit.h"
#include "actors/slot_host.h"
#include "kernels/backend.h"
#include "schemas/records.h"
#include "schemas/work.h"

namespace troupe::actors {

struct HeadContext {
  const kernels::Backend* backend = nullptr;
  GroupCommit* store = nullptr;
  SlotHost* host = nullptr;
  uint16_t port = 0;  // Where workers find the hub.
  // This host: what placements call it, and how many workers with a device it takes at a time.
  std::string own_host{};
  uint32_t own_slots = 1;
  bool own_slots_are_gpus = false;
  // Other hosts may join. Otherwise this one, while it is empty, takes any one job.
  bool may_be_joined = false;
  std::string credentials_folder{};
  // Programs that verify without a sandbox, from the head's own command line.
  std::vector<TrustedProgram> trusted_programs{};
  std::function<std::string(uint64_t job)> home_of{};
  // The job as it is to run, with this host's paths in place of files that were sent with it.
  // Called from any thread whenever it begins; an error fails the job.
  std::function<Result<JobSpec>(const JobRecord&)> with_paths =
      [](const JobRecord& record) -> Result<JobSpec> { return record.spec; };
  // Whoever watches a job. Called once for each time that it begins to run.
  MakeSink make_sink{};
  // A job's record changed, durably. Called from the scheduler's thread.
  std::function<void(const JobRecord&)> job_changed{};
};

}  // namespace troupe::actors

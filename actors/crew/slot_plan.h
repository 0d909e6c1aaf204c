// Which workers a job has: slot i is a place for one process after another, with the same roles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/job.h"
#include "schemas/work.h"

namespace troupe::actors {

struct SlotPlan {
  Roles roles{};
  uint32_t rank = 0;  // Of a learner, in its team.
  uint32_t rollout_threads = 1;
  uint32_t learner_threads = 1;
  uint32_t verifier_threads = 1;
};

// Slots = max(rollout, learner) where they are colocated, and one for each verifier: slot i has
// each role whose count exceeds i.
std::vector<SlotPlan> plan_slots(const JobSpec& job, int rollout_threads, int learner_threads,
                                 int verifier_threads, int verifier_workers);

// What people call the worker of a slot.
std::string worker_title(uint32_t slot, Roles roles);

}  // namespace troupe::actors

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
  // The job can do without it: there is a process while somebody lends it a device.
  bool is_lent = false;
  bool is_placed = true;  // It has a host to begin with.
  std::string host{};     // For people; empty: this one.
};

// How many slots of a kind a job has, in the order of their numbers. A learner's rank and a
// rollout take a device each, or one together where they are colocated; a verifier takes none.
struct SlotCounts {
  uint32_t learner = 0;   // The first of those that are required.
  uint32_t required = 0;  // With a device, without which the job does not begin.
  uint32_t verifier = 0;
  uint32_t lent = 0;      // With a device: rollouts beyond resources.rollout.
  bool is_split = false;  // No rank of the learner generates.

  uint32_t first_lent() const { return required + verifier; }
  uint32_t all() const { return required + verifier + lent; }
};
SlotCounts count_slots(const ResourcesSpec& resources, int verifier_workers);

// Slots as count_slots has them. Where they are colocated, slot i has each role whose count exceeds
// i; a slot that a learner needs anyway generates as far as rollout_max allows.
std::vector<SlotPlan> plan_slots(const JobSpec& job, int rollout_threads, int learner_threads,
                                 int verifier_threads, int verifier_workers);

// What people call the worker of a slot.
std::string worker_title(uint32_t slot, Roles roles);

}  // namespace troupe::actors

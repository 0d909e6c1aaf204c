#include "actors/crew/slot_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace troupe::actors {

std::vector<SlotPlan> plan_slots(const JobSpec& job, int rollout_threads, int learner_threads,
                                 int verifier_threads, int verifier_workers) {
  const ResourcesSpec& resources = job.resources;
  std::vector<SlotPlan> slots;
  uint32_t rank = 0;
  const auto add = [&](Roles roles) {
    slots.push_back({.roles = roles,
                     .rank = roles.learner ? rank++ : 0,
                     .rollout_threads = static_cast<uint32_t>(rollout_threads),
                     .learner_threads = static_cast<uint32_t>(learner_threads),
                     .verifier_threads = static_cast<uint32_t>(verifier_threads)});
  };
  if (resources.placement == "colocated") {
    for (int64_t i = 0; i < std::max(resources.rollout, resources.learner); ++i) {
      add({.rollout = i < resources.rollout, .learner = i < resources.learner});
    }
  } else {
    for (int64_t i = 0; i < resources.learner; ++i) add({.learner = true});
    for (int64_t i = 0; i < resources.rollout; ++i) add({.rollout = true});
  }
  for (int i = 0; i < verifier_workers; ++i) add({.verifier = true});
  return slots;
}

std::string worker_title(uint32_t slot, Roles roles) {
  return fmt::format("worker {} ({})", slot, to_string(roles));
}

}  // namespace troupe::actors

#include "actors/crew/slot_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace troupe::actors {

SlotCounts count_slots(const ResourcesSpec& resources, int verifier_workers) {
  const int64_t rollout_max = std::max(resources.rollout, resources.rollout_max);
  const bool is_colocated = resources.placement == "colocated";
  const auto devices = [&](int64_t rollout) {
    return static_cast<uint32_t>(is_colocated ? std::max(rollout, resources.learner)
                                              : rollout + resources.learner);
  };
  return {.learner = static_cast<uint32_t>(resources.learner),
          .required = devices(resources.rollout),
          .verifier = static_cast<uint32_t>(verifier_workers),
          .lent = devices(rollout_max) - devices(resources.rollout),
          .is_split = !is_colocated};
}

std::vector<SlotPlan> plan_slots(const JobSpec& job, int rollout_threads, int learner_threads,
                                 int verifier_threads, int verifier_workers) {
  const SlotCounts counts = count_slots(job.resources, verifier_workers);
  const int64_t rollout_max = std::max(job.resources.rollout, job.resources.rollout_max);
  const bool is_colocated = job.resources.placement == "colocated";
  std::vector<SlotPlan> slots;
  for (uint32_t i = 0; i < counts.all(); ++i) {
    Roles roles;
    roles.learner = i < counts.learner;
    roles.verifier = i >= counts.required && i < counts.first_lent();
    roles.rollout = roles.learner ? is_colocated && i < rollout_max : !roles.verifier;
    slots.push_back({.roles = roles,
                     .rank = roles.learner ? i : 0,
                     .rollout_threads = static_cast<uint32_t>(rollout_threads),
                     .learner_threads = static_cast<uint32_t>(learner_threads),
                     .verifier_threads = static_cast<uint32_t>(verifier_threads),
                     .is_lent = i >= counts.first_lent()});
  }
  return slots;
}

std::string worker_title(uint32_t slot, Roles roles) {
  return fmt::format("worker {} ({})", slot, to_string(roles));
}

}  // namespace troupe::actors

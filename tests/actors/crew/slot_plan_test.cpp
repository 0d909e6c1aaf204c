#include "actors/crew/slot_plan.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

std::vector<std::string> roles_of(const ResourcesSpec& resources) {
  JobSpec job;
  job.resources = resources;
  std::vector<std::string> roles;
  for (const auto& plan : plan_slots(job, 1, 1, 1, static_cast<int>(resources.verifier))) {
    roles.push_back(to_string(plan.roles) + (plan.is_lent ? " lent" : ""));
  }
  return roles;
}

using Names = std::vector<std::string>;

TEST_CASE("slot plan: slots have the roles whose count exceeds their number") {
  ResourcesSpec resources{.placement = "colocated", .rollout = 2, .learner = 1, .verifier = 1};
  CHECK(roles_of(resources) == Names{"rollout+learner", "rollout", "verifier"});
  resources.placement = "split";
  CHECK(roles_of(resources) == Names{"learner", "rollout", "rollout", "verifier"});
}

TEST_CASE("slot plan: what may be lent comes last, and keeps the numbers of the others") {
  ResourcesSpec resources{
      .placement = "split", .rollout = 1, .rollout_max = 3, .learner = 1, .verifier = 1};
  CHECK(roles_of(resources) ==
        Names{"learner", "rollout", "verifier", "rollout lent", "rollout lent"});
  SlotCounts counts = count_slots(resources, 1);
  CHECK(counts.required == 2);
  CHECK(counts.first_lent() == 3);
  CHECK(counts.lent == 2);
  // A rank of the learner has a device anyway.
  resources = {
      .placement = "colocated", .rollout = 1, .rollout_max = 3, .learner = 2, .verifier = 1};
  CHECK(roles_of(resources) ==
        Names{"rollout+learner", "rollout+learner", "verifier", "rollout lent"});
  counts = count_slots(resources, 1);
  CHECK(counts.required == 2);
  CHECK(counts.lent == 1);
}

}  // namespace
}  // namespace troupe::actors

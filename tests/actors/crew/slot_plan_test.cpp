#include "actors/crew/slot_plan.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

TEST_CASE("slot plan: slots have the roles whose count exceeds their number") {
  JobSpec job;
  job.resources = {.placement = "colocated", .rollout = 2, .learner = 1, .verifier = 1};
  std::vector<std::string> roles;
  for (const auto& plan : plan_slots(job, 1, 1, 1, 1)) roles.push_back(to_string(plan.roles));
  CHECK(roles == std::vector<std::string>{"rollout+learner", "rollout", "verifier"});
  job.resources.placement = "split";
  roles.clear();
  for (const auto& plan : plan_slots(job, 1, 1, 1, 1)) roles.push_back(to_string(plan.roles));
  CHECK(roles == std::vector<std::string>{"learner", "rollout", "rollout", "verifier"});
}

}  // namespace
}  // namespace troupe::actors

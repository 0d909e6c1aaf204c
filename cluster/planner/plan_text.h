// A plan for people and for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cluster/planner/plan.h"

namespace troupe::cluster {

std::string to_page(const PlanSubject& subject, const Plan& plan);
nlohmann::ordered_json to_json(const PlanSubject& subject, const Plan& plan);

}  // namespace troupe::cluster

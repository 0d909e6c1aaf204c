// A simulated run for people, for programs, and as a picture.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cluster/planner/simulation.h"

namespace troupe::cluster {

// What a simulation at medians and a plan of the same layout say together.
struct SimulatedJob {
  SimulationResult result{};
  Quantiles hours{};  // The plan's, in the ratio of the two at medians; `median` is the events'.
  double cost = 0;
};

std::string to_page(const PlanSubject& subject, const PlanLayout& layout, const SimulatedJob& job);
nlohmann::ordered_json to_json(const PlanSubject& subject, const PlanLayout& layout,
                               const SimulatedJob& job);

// Some rounds in the middle: a row for each worker, the learner below, a colour for each round.
std::string to_svg(const SimulationResult& result);
// Of all rounds, for chrome://tracing and Perfetto.
std::string to_chrome_trace(const SimulationResult& result);

}  // namespace troupe::cluster

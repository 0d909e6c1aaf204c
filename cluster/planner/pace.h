// How far responses have come that a replica generates side by side: they go on together, and the
// fewer there are the faster.
#pragma once

#include <vector>

#include "cluster/planner/plan.h"

namespace troupe::cluster {

struct Pace {
  std::vector<double> tokens{0}, seconds{0};  // So far is everybody after so long; both ascend.

  double seconds_at(double at_tokens) const;
  double tokens_at(double at_seconds) const;
};

// Of these lengths on one replica of the layout. Where its cache has not room for all at once, the
// whole is slower by as much as the closed form says.
Pace pace_of(std::vector<double> lengths, const DrawnInputs& inputs, const PlanLayout& layout);

}  // namespace troupe::cluster

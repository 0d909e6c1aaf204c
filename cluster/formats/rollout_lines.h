// Responses that a run has kept, one line of JSON each, in the layout of verl's rollout files:
// input, output, gts (gold), score and step, and what else is known. For reading, and for rejection
// sampling.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::cluster {

struct RolloutFilter {
  double reward_min = -std::numeric_limits<double>::infinity();
  double reward_max = std::numeric_limits<double>::infinity();
  uint64_t round_min = 0;
  uint64_t round_max = std::numeric_limits<uint64_t>::max();
  bool is_whole = false;  // Without responses that were cut at the budget, or here.
};

// Gives each line; how many there were. kInvalidArgument when the home has no traces.
Result<uint64_t> write_rollout_lines(const std::string& home, const RolloutFilter& filter,
                                     const std::function<void(std::string_view)>& write);

}  // namespace troupe::cluster

#include "model/parallel/team_layout.h"

#include <fmt/format.h>

#include <string>

namespace troupe::model {

Result<TeamLayout> TeamLayout::create(int ranks, int64_t lanes) {
  if (lanes < 1 || (lanes & (lanes - 1)) != 0) {
    return invalid_argument(
        fmt::format("learner.gradient_lanes is {}; it must be a power of two", lanes));
  }
  if (ranks >= 1 && lanes % ranks == 0) return TeamLayout(ranks, lanes);
  std::string legal;
  for (int64_t count = 1; count <= lanes; ++count) {
    if (lanes % count != 0) continue;
    legal += (legal.empty() ? "" : ", ") + std::to_string(count);
  }
  return invalid_argument(
      fmt::format("resources.learner is {}; with learner.gradient_lanes = {} it may be {}", ranks,
                  lanes, legal));
}

}  // namespace troupe::model

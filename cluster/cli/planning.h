// What `troupe plan` and `troupe simulate` are asked about, in the same words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/cli/command_line.h"
#include "cluster/planner/inputs.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct PlanningQuestion {
  std::string job{};
  std::vector<std::string> overrides{};
  std::string schedule{};
  std::string cluster{};
  std::string engine{};
  std::string lengths{};
  std::vector<std::string> tables{};
  int64_t width = 0;
  int draws = 400;
  uint64_t seed = 1;
};

// `question` outlives the reading.
void add_planning_options(Command& command, PlanningQuestion& question);

// kInvalidArgument for whatever is wrong in the question or in the files that it names.
Result<PlanSubject> read_subject(const PlanningQuestion& question);

}  // namespace troupe::cluster

// Job files that take turns on one cluster.
#pragma once

#include <string>

#include "cluster/cli/planning.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct QueueQuestion {
  std::string jobs{};  // A folder of job files, or a CSV file with submitted,seconds,devices.
  double apart_seconds = 0;
  bool is_json = false;
};

// The files of the folder by name, then question.job, one every so many seconds, each for as long
// as its plan says on as many devices as its [resources] ask for. Prints who waits and for how
// long.
Status print_queue(const PlanningQuestion& question, const QueueQuestion& queue);

}  // namespace troupe::cluster

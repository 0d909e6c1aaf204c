// A job that is here to be planned is not begun on a machine that could never hold it.
#pragma once

#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe::cluster {

// kInvalidArgument, with both sizes, where the policy is one whose shapes only the planner has:
// what learning it takes at least, beside what this machine has.
Status check_fits_here(const JobSpec& job);

}  // namespace troupe::cluster

// A step as each rank of the learner's team is told of it: a pure function of the job and of what
// is to be learned.
//
// Advantages, token weights and packing need only rewards and lengths, so they are settled here,
// once; a rank is sent the sequences of its own micro-batches and the facts of all.
#pragma once

#include <cstdint>
#include <vector>

#include "actors/crew/learn_step.h"
#include "schemas/job.h"
#include "schemas/result.h"
#include "schemas/team.h"

namespace troupe::actors {

// By rank. The job was checked for so many ranks. kCorruption when a group cannot be
// decoded.
Result<std::vector<LearnShare>> plan_step(const JobSpec& job, const LearnStep& step,
                                          uint32_t num_ranks);

}  // namespace troupe::actors

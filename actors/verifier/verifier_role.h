// What a worker does as a verifier: a verdict for every response of a group.
#pragma once

#include <vector>

#include "schemas/job.h"
#include "schemas/work.h"

namespace troupe::actors {

// The rewards have passed find_verifiers.
GroupsJudged judge_groups(const std::vector<RewardSpec>& rewards, const JudgeGroups& request);

}  // namespace troupe::actors

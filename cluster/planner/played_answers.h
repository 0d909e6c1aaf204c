// What workers of a simulated run say: of the right form, and without any meaning.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "schemas/job.h"
#include "schemas/work.h"

namespace troupe::cluster {

// About half of all responses are right, always the same ones.
GroupsJudged played_verdicts(const JudgeGroups& judge, const std::vector<RewardSpec>& rewards,
                             uint64_t seed);

// Of `length` tokens, of which `scale` are one here, and at most `most`. By the first of
// `versions`, and where there are more, by each from its number of tokens on.
SampledResponse played_response(double length, int64_t scale, uint32_t most,
                                const std::vector<std::pair<PolicyVersion, double>>& versions);

}  // namespace troupe::cluster

// From a job's [rewards] to verdicts: which verifiers exist, and what all of them say about one
// response.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schemas/job.h"
#include "schemas/result.h"
#include "schemas/verdict.h"

namespace troupe::actors {

using Verifier = VerdictPart (*)(std::string_view response, std::string_view gold);

std::vector<std::string> verifier_names();

// One verifier per reward, in their order. kInvalidArgument for no rewards, for an unknown verifier
// (the message lists those known, the nearest first) and for a weight that is not finite.
Result<std::vector<Verifier>> find_verifiers(const std::vector<RewardSpec>& rewards);

// One part per reward, in their order, named and weighted by the job. A failed part is worth 0 and
// leaves the others as they are. The rewards have passed find_verifiers.
Verdict judge(const std::vector<RewardSpec>& rewards, std::string_view response,
              std::string_view gold);

// The index of the reward part that says whether an answer is right: the first that is judged by
// `math`, else the first.
size_t accuracy_part(const std::vector<RewardSpec>& rewards);

}  // namespace troupe::actors

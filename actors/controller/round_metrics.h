// What a complete round says of the policy: the step's fields that belong to the round.
#pragma once

#include <span>

#include "model/tokenizer/tokenizer.h"
#include "schemas/ids.h"
#include "schemas/job.h"
#include "schemas/metrics.h"
#include "schemas/records.h"

namespace troupe::actors {

// Whether a group teaches anything: not all of its rewards are the same.
bool has_variance(const GroupRecord& group);

// Groups that were generated and not dropped, in ordinal order: the sums do not depend on who
// finished first. Those whose rewards do not differ are among them, learned or not.
StepMetrics round_metrics(Round round, std::span<const GroupRecord* const> groups,
                          const JobSpec& job, const model::Tokenizer& tokenizer);

}  // namespace troupe::actors

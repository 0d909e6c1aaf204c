// How far the policy that learns is from the ones that wrote the responses, for people. Sums go in
// the order of the sequences, so that they are the same however these were packed or dealt out.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/training/learner.h"
#include "schemas/metrics.h"
#include "schemas/team.h"

namespace troupe::actors {

// The bucket that a response of so many tokens belongs to: "0-63", "64-127", "128-255", ...
std::string length_bucket(int64_t tokens);

// Fills in what `metrics` says of staleness, ratios by length and importance weights. `results`
// are what the step gave for the minibatch's `sequences`, in order.
void add_off_policy_metrics(std::span<const SequenceFacts> sequences,
                            std::span<const model::SequenceResult> results, bool has_correction,
                            StepMetrics& metrics);

}  // namespace troupe::actors

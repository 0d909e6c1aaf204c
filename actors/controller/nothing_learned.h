// Why a run taught the policy nothing, where it did not: the numbers say it, but nobody reads all
// of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schemas/job.h"
#include "schemas/metrics.h"

namespace troupe::actors {

class NothingLearned {
 public:
  // Each step once.
  void add(const StepMetrics& step, const JobSpec& job);

  // One line with the setting that is the likely cause, where in no step of [grpo] the rewards of
  // any group differed, so that every advantage was 0. Nothing where one did, or without a step.
  std::optional<std::string> reason(const JobSpec& job) const;

 private:
  std::string likely_cause(const JobSpec& job) const;

  int64_t steps_ = 0;
  bool has_variance_ = false;
  // What the responses have in common: sums over steps of shares, and counts.
  double cut_ = 0, accuracy_ = 0;
  int64_t verdicts_ = 0, no_answers_ = 0;
};

}  // namespace troupe::actors

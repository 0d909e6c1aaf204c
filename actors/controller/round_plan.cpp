#include "actors/controller/round_plan.h"

#include <algorithm>

#include "schemas/check.h"

namespace troupe::actors {

RoundPlan::RoundPlan(const GrpoSpec& grpo)
    : prompts_(grpo.prompts_per_round),
      minibatches_(grpo.minibatches_per_round),
      attempts_left_(grpo.zero_variance_groups == "replace" ? grpo.replacement_rounds_max : 0) {
  want(static_cast<uint32_t>(prompts_));
}

void RoundPlan::want(uint32_t count) {
  decided_.clear();
  for (uint32_t i = 0; i < count; ++i) wanted_.push_back(next_ordinal_++);
}

void RoundPlan::decide(uint32_t ordinal, bool is_admitted) {
  const auto found = std::find(wanted_.begin(), wanted_.end(), ordinal);
  TROUPE_CHECK(found != wanted_.end());
  wanted_.erase(found);
  decided_[ordinal] = is_admitted;
  if (!wanted_.empty()) return;
  for (const auto& [one, is_in] : decided_) {
    if (is_in) admitted_.push_back(one);
  }
  const auto missing = prompts_ - static_cast<int64_t>(admitted_.size());
  if (missing == 0 || attempts_left_ == 0) return;
  --attempts_left_;
  want(static_cast<uint32_t>(missing));
}

std::pair<size_t, size_t> RoundPlan::minibatch(int64_t m) const {
  TROUPE_CHECK(is_complete());
  const auto bound = [&](int64_t i) {
    return std::min(static_cast<size_t>(i * prompts_ / minibatches_), admitted_.size());
  };
  return {bound(m), bound(m + 1)};
}

}  // namespace troupe::actors

// Which groups a round has: those that are wanted, those that are admitted, and replacements for
// those that are not. Decided in ordinal order, whoever finishes first.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "schemas/job.h"

namespace troupe::actors {

class RoundPlan {
 public:
  explicit RoundPlan(const GrpoSpec& grpo);

  // Ordinals whose groups are needed and are not decided yet, in order.
  const std::vector<uint32_t>& wanted() const { return wanted_; }

  // A wanted group is there; it is admitted, or it is dropped.
  void decide(uint32_t ordinal, bool is_admitted);

  bool is_complete() const { return wanted_.empty(); }

  // For a complete round: in the order of learning, which is ordinal order, replacements last.
  const std::vector<uint32_t>& admitted() const { return admitted_; }

  // Groups [begin, end) of admitted() that minibatch `m` learns; it may be short or empty.
  std::pair<size_t, size_t> minibatch(int64_t m) const;

 private:
  void want(uint32_t count);

  const int64_t prompts_;
  const int64_t minibatches_;
  int64_t attempts_left_ = 0;
  uint32_t next_ordinal_ = 0;
  std::vector<uint32_t> wanted_{};
  std::map<uint32_t, bool> decided_{};  // Of the ordinals that were wanted together.
  std::vector<uint32_t> admitted_{};
};

}  // namespace troupe::actors

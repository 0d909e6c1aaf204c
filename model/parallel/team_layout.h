// Which rank of a learner's team works on what: pure arithmetic, checked before a device is
// touched.
//
// A minibatch is packed once, before ranks are known; micro-batch i belongs to lane i mod lanes.
// Rank r works the r-th run of lanes, one lane after another or side by side. Lanes are a power of
// two and are added up as a tree, so a rank's lanes are a whole subtree, and the sum has the same
// bits for every number of ranks.
#pragma once

#include <cstdint>

#include "schemas/result.h"

namespace troupe::model {

class TeamLayout {
 public:
  // kInvalidArgument where `lanes` are no power of two, and, with the numbers that are legal, where
  // `ranks` does not divide them.
  static Result<TeamLayout> create(int ranks, int64_t lanes);
  // One rank that works all lanes.
  static TeamLayout alone(int64_t lanes) { return {1, lanes}; }

  int ranks() const { return ranks_; }
  int64_t lanes() const { return lanes_; }
  int64_t lanes_per_rank() const { return lanes_ / ranks_; }
  int64_t first_lane(int rank) const { return rank * lanes_per_rank(); }
  int64_t lane_of(int64_t microbatch) const { return microbatch % lanes_; }
  int rank_of(int64_t microbatch) const {
    return static_cast<int>(lane_of(microbatch) / lanes_per_rank());
  }

 private:
  TeamLayout(int ranks, int64_t lanes) : ranks_(ranks), lanes_(lanes) {}

  int ranks_ = 1;
  int64_t lanes_ = 1;
};

// Adds up `count` arrays as a tree: add(to, from) for 0 += 1, 2 += 3, ..., then 0 += 2, ...; array
// 0 is the sum.
template <class Add>
void add_as_tree(int64_t count, Add&& add) {
  for (int64_t distance = 1; distance < count; distance *= 2) {
    for (int64_t i = 0; i + distance < count; i += 2 * distance) add(i, i + distance);
  }
}

}  // namespace troupe::model

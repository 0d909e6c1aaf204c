// Which rank of a learner's team works on what: pure arithmetic, checked before a device is
// touched.
//
// A minibatch is packed once, before ranks are known. Micro-batch i belongs to lane i mod lanes,
// and is the k-th of it, k = i div lanes. A lane works in waves of `width` micro-batches; the one
// in slot k mod width of its wave is added up with the others of the wave in eights
// (sum_in_eights.h), waves one after another, and lanes, which are a power of two, as a tree. So
// the sum has the same bits for every number of ranks:
//
//   - as many ranks as lanes, or fewer: each works a run of lanes, a whole subtree, one after
//     another or side by side;
//   - more: a lane is worked by several members, each with a run of slots of every wave, which is
//     one slot or whole blocks of eight.
//
// Rank r is member r div groups of the group r mod groups; each group has the same number of lanes.
#pragma once

#include <cstdint>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

class TeamLayout {
 public:
  // kInvalidArgument where `lanes` or `width` are no power of two, and, with the numbers that are
  // legal, where so many ranks cannot share them.
  static Result<TeamLayout> create(int ranks, int64_t lanes, int64_t width = 1);
  // One rank that works all lanes.
  static TeamLayout alone(int64_t lanes, int64_t width = 1) { return {1, lanes, width}; }

  int ranks() const { return ranks_; }
  int64_t lanes() const { return lanes_; }
  int64_t width() const { return width_; }

  int groups() const { return groups_; }
  int members() const { return ranks_ / groups_; }  // Of a group.
  int group_of(int rank) const { return rank % groups_; }
  int member_of(int rank) const { return rank / groups_; }
  // The ranks of a group, by member; the ranks that are the same member, by group.
  std::vector<int> ranks_of_group(int group) const;
  std::vector<int> ranks_of_member(int member) const;

  int64_t lanes_per_rank() const { return lanes_ / groups_; }
  int64_t first_lane(int rank) const { return group_of(rank) * lanes_per_rank(); }
  int64_t slots_per_rank() const { return width_ / members(); }
  int64_t first_slot(int rank) const { return member_of(rank) * slots_per_rank(); }

  int64_t lane_of(int64_t microbatch) const { return microbatch % lanes_; }
  int64_t slot_of(int64_t microbatch) const { return microbatch / lanes_ % width_; }
  int64_t microbatch(int64_t lane, int64_t wave, int64_t slot) const {
    return (wave * width_ + slot) * lanes_ + lane;
  }
  int rank_of(int64_t microbatch) const {
    const auto member = static_cast<int>(slot_of(microbatch) / slots_per_rank());
    return member * groups_ + static_cast<int>(lane_of(microbatch) / lanes_per_rank());
  }

 private:
  TeamLayout(int ranks, int64_t lanes, int64_t width);

  int ranks_ = 1;
  int64_t lanes_ = 1;
  int64_t width_ = 1;
  int groups_ = 1;
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

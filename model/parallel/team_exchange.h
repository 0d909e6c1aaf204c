// What the ranks of a learner's team tell one another in a step. Bytes move here; what is added up
// is added up by the one who owns the sum, in an order that does not depend on ranks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/collective/communicator.h"
#include "model/device.h"
#include "model/parallel/shard_map.h"
#include "model/parallel/sum_in_eights.h"
#include "model/parallel/team_layout.h"

namespace troupe::model {

// A rank's place among those that learn together.
struct Seat {
  // Of this team; outlives the learner. Null: it is alone.
  kernels::Communicator* communicator = nullptr;
  // After this long without what the others owe, they are given up.
  std::chrono::milliseconds patience{60'000};

  int rank() const { return communicator == nullptr ? 0 : communicator->rank(); }
  int ranks() const { return communicator == nullptr ? 1 : communicator->size(); }
};

// Errors are the communicator's. One thread at a time.
class TeamExchange {
 public:
  // Floats that travel to each of up to eight ranks at a time; where there are more, fewer.
  static constexpr int64_t kPieceFloats = 16 * kernels::kChunkElements;

  TeamExchange(const kernels::Backend& backend, const ShardMap& shards, const TeamLayout& team,
               Seat seat);

  // The floats of which this rank has the sum over its group's waves: all, where it has no other
  // member.
  FloatRange own_range() const { return range_of_member(team_.member_of(seat_.rank())); }

  // One wave of the group's lane: `mine` (layout) is the sum over this rank's slots, of no meaning
  // where it has none in this wave; `is_there` says by member who has. Added to `sum`, which has
  // the floats of own_range().
  Status sum_wave(kernels::Stream* stream, kernels::Device<float> mine,
                  const std::vector<bool>& is_there, kernels::Device<float> sum);
  // `sum` has the floats of own_range() over this rank's lanes; afterwards this rank's shard in
  // `gradient` (layout) is the sum over all lanes, and the rest is undefined. They may be one.
  Status sum_lanes(kernels::Stream* stream, kernels::Device<float> sum,
                   kernels::Device<float> gradient);
  // `values` (layout) holds this rank's own range; afterwards all.
  Status gather(kernels::Stream* stream, kernels::Device<float> values);
  // What each rank has to say, by rank; `bytes_max` is the most that one of them may.
  Result<std::vector<std::vector<std::byte>>> tell_all(std::span<const std::byte> mine,
                                                       int64_t bytes_max);

 private:
  kernels::Deadline deadline() const { return std::chrono::steady_clock::now() + seat_.patience; }
  // The shards of all who are the same member, which lie side by side.
  FloatRange range_of_member(int member) const;
  // The `i`-th piece of a range.
  FloatRange piece(const FloatRange& range, int64_t i) const;

  const kernels::Backend& backend_;
  const ShardMap& shards_;
  const TeamLayout team_;
  const Seat seat_;
  int64_t piece_floats_ = kPieceFloats;
  // The other members of this rank's group, and the same member of the other groups.
  std::unique_ptr<kernels::Communicator> group_{}, peers_{};
  DeviceBuffer<float> arrived_{};  // A piece from each of those.
  SumInEights wave_{};             // Of pieces.
};

}  // namespace troupe::model

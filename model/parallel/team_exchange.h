// What the ranks of a learner's team tell one another in a step. Bytes move here; what is added up
// is added up by the one who owns the sum, in an order that does not depend on ranks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/collective/communicator.h"
#include "model/device.h"
#include "model/parallel/shard_map.h"
#include "model/parallel/team_layout.h"

namespace troupe::model {

// A rank's place in its team, or nobody else's.
struct Seat {
  kernels::Communicator* communicator =
      nullptr;  // Of this team; outlives the learner. Null: alone.
  // After this long without what the others owe, they are given up.
  std::chrono::milliseconds patience{60'000};

  int rank() const { return communicator == nullptr ? 0 : communicator->rank(); }
  int ranks() const { return communicator == nullptr ? 1 : communicator->size(); }
};

// Errors are the communicator's. One thread at a time.
class TeamExchange {
 public:
  // Floats of each shard that travel at a time.
  static constexpr int64_t kPieceFloats = 16 * kernels::kChunkElements;

  TeamExchange(const kernels::Backend& backend, const ShardMap& shards, Seat seat);

  // `gradient` (layout) is the sum of this rank's lanes; afterwards its own range is that of all
  // lanes, and the rest is undefined.
  Status sum_gradients(kernels::Stream* stream, kernels::Device<float> gradient);
  // `values` (layout) holds this rank's own range; afterwards all.
  Status gather(kernels::Stream* stream, kernels::Device<float> values);
  // What each rank has to say, by rank; `bytes_max` is the most that one of them may.
  Result<std::vector<std::vector<std::byte>>> tell_all(std::span<const std::byte> mine,
                                                       int64_t bytes_max);

 private:
  kernels::Deadline deadline() const { return std::chrono::steady_clock::now() + seat_.patience; }
  // The `i`-th piece of a rank's range.
  FloatRange piece(int rank, int64_t i) const;

  const kernels::Backend& backend_;
  const ShardMap& shards_;
  const Seat seat_;
  int64_t num_pieces_ = 0;         // Of the largest shard.
  DeviceBuffer<float> arrived_{};  // A piece from each rank.
};

}  // namespace troupe::model

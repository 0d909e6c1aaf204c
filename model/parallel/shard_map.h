// What each rank of a team owns of the masters and moments: a run of the layout's chunks.
//
// A chunk is kChunkElements floats of one tensor, or the rest of it. Shards, digests and the
// gradient's norm are cut by chunks, so no sum crosses from one rank to another. Shards are as
// large as each other but for a chunk; where there are fewer chunks than ranks, some are empty.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/transformer/parameter_layout.h"

namespace troupe::model {

struct Chunk {
  size_t parameter = 0;  // Index into ParameterLayout::by_name().
  int64_t offset = 0;    // Of its first float in the layout's array.
  int64_t count = 0;
};

// Floats [begin, end) of the layout's array.
struct FloatRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t count() const { return end - begin; }
};

class ShardMap {
 public:
  ShardMap(const ParameterLayout& layout, int ranks);

  // All of them, in the order of their offsets.
  const std::vector<Chunk>& chunks() const { return chunks_; }
  // Where the layout's chunks are in the order of names, in which the norm is added up.
  const std::vector<size_t>& by_name() const { return by_name_; }

  std::span<const Chunk> chunks_of(int rank) const;
  size_t chunks_max() const;  // Of a rank.
  size_t first_chunk(int rank) const { return first_[static_cast<size_t>(rank)]; }
  // From a rank's first chunk to the next rank's, so that the ranges cover the array.
  FloatRange range_of(int rank) const;

 private:
  std::vector<Chunk> chunks_;
  std::vector<size_t> by_name_;
  std::vector<size_t> first_;  // By rank, and the end.
  int64_t num_floats_ = 0;
};

}  // namespace troupe::model

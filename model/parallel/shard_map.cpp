#include "model/parallel/shard_map.h"

#include <algorithm>

#include "kernels/device_types.h"

namespace troupe::model {

using kernels::kChunkElements;

ShardMap::ShardMap(const ParameterLayout& layout, int ranks) : num_floats_(layout.num_floats()) {
  const auto& parameters = layout.by_name();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [shape, offset] = parameters[i];
    for (int64_t at = 0; at < shape.size(); at += kChunkElements) {
      chunks_.push_back({i, offset + at, std::min(kChunkElements, shape.size() - at)});
    }
  }
  by_name_.resize(chunks_.size());
  std::sort(chunks_.begin(), chunks_.end(),
            [](const Chunk& a, const Chunk& b) { return a.offset < b.offset; });
  for (size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = i;
  std::sort(by_name_.begin(), by_name_.end(), [this](size_t a, size_t b) {
    const Chunk &x = chunks_[a], &y = chunks_[b];
    return x.parameter != y.parameter ? x.parameter < y.parameter : x.offset < y.offset;
  });
  for (int rank = 0; rank <= ranks; ++rank) {
    const int64_t begin = num_floats_ / ranks * rank + num_floats_ % ranks * rank / ranks;
    const auto first = std::partition_point(chunks_.begin(), chunks_.end(),
                                            [&](const Chunk& one) { return one.offset < begin; });
    first_.push_back(static_cast<size_t>(first - chunks_.begin()));
  }
}

size_t ShardMap::chunks_max() const {
  size_t most = 0;
  for (size_t i = 1; i < first_.size(); ++i) most = std::max(most, first_[i] - first_[i - 1]);
  return most;
}

std::span<const Chunk> ShardMap::chunks_of(int rank) const {
  const size_t first = first_chunk(rank);
  return std::span(chunks_).subspan(first, first_[static_cast<size_t>(rank) + 1] - first);
}

FloatRange ShardMap::range_of(int rank) const {
  const auto begins = [this](size_t chunk) {
    return chunk == 0 ? 0 : chunk < chunks_.size() ? chunks_[chunk].offset : num_floats_;
  };
  const auto r = static_cast<size_t>(rank);
  return {begins(first_[r]), begins(first_[r + 1])};
}

}  // namespace troupe::model

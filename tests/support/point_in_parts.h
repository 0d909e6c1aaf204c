// Recovery points as a team of several ranks writes them.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/formats/recovery_point.h"

namespace troupe::tests {

inline std::vector<model::FloatRange> ranges_of(const model::ParameterLayout& layout, int ranks) {
  const model::ShardMap shards(layout, ranks);
  std::vector<model::FloatRange> ranges;
  for (int rank = 0; rank < ranks; ++rank) ranges.push_back(shards.range_of(rank));
  return ranges;
}

// What the owner of `range` holds of the state of one rank that owns everything.
inline model::LearnerState shard_of(const model::LearnerState& whole,
                                    const model::FloatRange& range) {
  const auto cut = [&range](const std::vector<float>& all) {
    return std::vector<float>(all.begin() + range.begin, all.begin() + range.end);
  };
  model::LearnerState shard = whole;
  shard.masters = cut(whole.masters);
  shard.m = cut(whole.m);
  shard.v = cut(whole.v);
  return shard;
}

// One part per range.
inline Result<PointRecord> save_in_parts(const std::string& folder, PolicyVersion version,
                                         const model::Checkpoint& checkpoint,
                                         const model::LearnerState& whole,
                                         std::span<const PolicyFile> policies,
                                         std::span<const model::FloatRange> ranges) {
  auto shared = model::save_point_checkpoint(folder, checkpoint, policies);
  if (!shared) return shared.error();
  const int parts = static_cast<int>(ranges.size());
  for (int part = 0; part < parts; ++part) {
    const model::FloatRange& range = ranges[static_cast<size_t>(part)];
    auto files = model::save_point_part(folder, part, parts, range, shard_of(whole, range));
    if (!files) return files.error();
    shared->files.insert(shared->files.end(), files->begin(), files->end());
  }
  return model::finish_point(folder, version,
                             model::checkpoint_sha256(checkpoint.config, checkpoint.values),
                             std::move(shared->policies), std::move(shared->files), parts);
}

// Equal bits, for values that are no NaN and no negative zero.
inline bool is_equal(const model::LearnerState& a, const model::LearnerState& b) {
  return a.masters == b.masters && a.m == b.m && a.v == b.v && a.reference == b.reference &&
         a.beta1_power == b.beta1_power && a.beta2_power == b.beta2_power;
}

}  // namespace troupe::tests

#include "actors/learner/off_policy_metrics.h"

#include <algorithm>
#include <map>

#include "schemas/check.h"

namespace troupe::actors {
namespace {

constexpr int64_t kShortestBucket = 64;

struct Staleness {
  double mean = 0;  // Over the learned tokens.
  int64_t max = 0;
};

Staleness staleness_of(const Trajectory& trajectory, PolicyVersion before) {
  Staleness result;
  int64_t tokens = 0;
  for (const VersionRange& range : trajectory.versions) {
    const auto first = trajectory.loss_mask.begin();
    const auto learned = std::count(first + range.begin, first + range.end, 1);
    if (learned == 0) continue;
    const auto steps = static_cast<int64_t>(staleness(before, range.version));
    tokens += learned;
    result.mean += static_cast<double>(steps * learned);
    result.max = std::max(result.max, steps);
  }
  if (tokens > 0) result.mean /= static_cast<double>(tokens);
  return result;
}

// Of the sequences of one bucket, or of all.
struct Sums {
  double trajectories = 0;
  double tokens = 0;
  double staleness = 0;
  double log_ratio_abs = 0;
  double importance_weight = 0;
  double truncated = 0;
};

}  // namespace

std::string length_bucket(int64_t tokens) {
  int64_t begin = 0, end = kShortestBucket;
  while (tokens >= end) {
    begin = end;
    end *= 2;
  }
  return std::to_string(begin) + "-" + std::to_string(end - 1);
}

void add_off_policy_metrics(std::span<const Trajectory* const> trajectories, PolicyVersion before,
                            std::span<const model::SequenceResult> sequences, bool has_correction,
                            StepMetrics& metrics) {
  TROUPE_CHECK(trajectories.size() == sequences.size());
  std::map<std::string, Sums> buckets;
  Sums all;
  for (size_t i = 0; i < trajectories.size(); ++i) {
    const int64_t tokens = trajectories[i]->num_response_tokens();
    const Staleness stale = staleness_of(*trajectories[i], before);
    metrics.staleness_steps_max = std::max(metrics.staleness_steps_max, stale.max);
    for (Sums* sums : {&buckets[length_bucket(tokens)], &all}) {
      sums->trajectories += 1;
      sums->tokens += static_cast<double>(tokens);
      sums->staleness += stale.mean;
      sums->log_ratio_abs += sequences[i].log_ratio_abs_sum;
      sums->importance_weight += sequences[i].importance_weight_sum;
      sums->truncated += static_cast<double>(sequences[i].num_truncated);
    }
    if (!has_correction) continue;
    metrics.importance_weight_max =
        std::max(metrics.importance_weight_max, sequences[i].importance_weight_max);
  }
  for (const auto& [length, sums] : buckets) {
    metrics.staleness_steps_by_length[length] = sums.staleness / sums.trajectories;
    if (sums.tokens > 0) metrics.log_ratio_abs_by_length[length] = sums.log_ratio_abs / sums.tokens;
  }
  if (all.trajectories > 0) metrics.staleness_steps_mean = all.staleness / all.trajectories;
  if (has_correction && all.tokens > 0) {
    metrics.importance_weight_mean = all.importance_weight / all.tokens;
    metrics.importance_truncated_share = all.truncated / all.tokens;
  }
}

}  // namespace troupe::actors

#include "actors/learner/off_policy_metrics.h"

#include <algorithm>
#include <map>

#include "schemas/check.h"

namespace troupe::actors {
namespace {

constexpr int64_t kShortestBucket = 64;

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

void add_off_policy_metrics(std::span<const SequenceFacts> sequences,
                            std::span<const model::SequenceResult> results, bool has_correction,
                            StepMetrics& metrics) {
  TROUPE_CHECK(sequences.size() == results.size());
  std::map<std::string, Sums> buckets;
  Sums all;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const SequenceFacts& facts = sequences[i];
    metrics.staleness_steps_max =
        std::max(metrics.staleness_steps_max, static_cast<int64_t>(facts.staleness_max));
    for (Sums* sums : {&buckets[length_bucket(facts.num_learned)], &all}) {
      sums->trajectories += 1;
      sums->tokens += static_cast<double>(facts.num_learned);
      sums->staleness += facts.staleness_mean;
      sums->log_ratio_abs += results[i].log_ratio_abs_sum;
      sums->importance_weight += results[i].importance_weight_sum;
      sums->truncated += static_cast<double>(results[i].num_truncated);
    }
    if (!has_correction) continue;
    metrics.importance_weight_max =
        std::max(metrics.importance_weight_max, results[i].importance_weight_max);
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

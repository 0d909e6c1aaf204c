#include "actors/controller/round_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "actors/controller/group_texts.h"
#include "actors/verifier/format_verdict.h"
#include "actors/verifier/verifier_table.h"

namespace troupe::actors {

bool has_variance(const GroupRecord& group) {
  return std::any_of(group.trajectories.begin(), group.trajectories.end(),
                     [first = group.trajectories.front().verdict.reward()](const Trajectory& one) {
                       return one.verdict.reward() != first;
                     });
}

StepMetrics round_metrics(Round round, std::span<const GroupRecord* const> groups,
                          const JobSpec& job, const model::Tokenizer& tokenizer) {
  StepMetrics metrics;
  metrics.stage = Stage::kGrpo;
  metrics.round = round;
  double count = 0, reward_squares = 0;
  const size_t accuracy = accuracy_part(job.rewards);
  for (const GroupRecord* group : groups) {
    metrics.frac_reward_zero_std += has_variance(*group) ? 0 : 1;
    for (const Trajectory& trajectory : group->trajectories) {
      const double reward = static_cast<double>(trajectory.verdict.reward());
      count += 1;
      metrics.reward_mean += reward;
      reward_squares += reward * reward;
      metrics.accuracy += trajectory.verdict.parts[accuracy].is_right() ? 1 : 0;
      for (size_t part = 0; part < trajectory.verdict.parts.size(); ++part) {
        const VerdictPart& one = trajectory.verdict.parts[part];
        metrics.reward_values[one.name] += static_cast<double>(one.value);
        ++metrics.verdicts[fmt::format("{}/{}", one.name, name(one.kind))];
        if (job.rewards[part].verifier != "r1_format") continue;
        metrics.format_share += one.is_right() ? 1 : 0;
      }
      metrics.thinking_share += has_thinking(to_judge(trajectory, tokenizer).text) ? 1 : 0;
      metrics.response_length_clipped += trajectory.finish_reason == FinishReason::kLength ? 1 : 0;
      metrics.tokens_generated += trajectory.num_response_tokens();
    }
  }
  if (count == 0) return metrics;
  metrics.reward_mean /= count;
  metrics.reward_std =
      std::sqrt(std::max(0.0, reward_squares / count - metrics.reward_mean * metrics.reward_mean));
  metrics.accuracy /= count;
  for (auto& [name_of, value] : metrics.reward_values) value /= count;
  metrics.format_share /= count;
  metrics.thinking_share /= count;
  metrics.response_length_clipped /= count;
  metrics.response_length_mean = static_cast<double>(metrics.tokens_generated) / count;
  metrics.frac_reward_zero_std /= static_cast<double>(groups.size());
  return metrics;
}

}  // namespace troupe::actors

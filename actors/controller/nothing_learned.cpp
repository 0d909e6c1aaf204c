#include "actors/controller/nothing_learned.h"

#include <fmt/format.h>

#include "actors/verifier/verifier_table.h"

namespace troupe::actors {

void NothingLearned::add(const StepMetrics& step, const JobSpec& job) {
  if (step.stage != Stage::kGrpo) return;
  ++steps_;
  has_variance_ = has_variance_ || (!step.verdicts.empty() && step.frac_reward_zero_std < 1);
  cut_ += step.response_length_clipped;
  accuracy_ += step.accuracy;
  const std::string name = job.rewards.at(accuracy_part(job.rewards)).name + "/";
  for (const auto& [kind, count] : step.verdicts) {
    if (!kind.starts_with(name)) continue;
    verdicts_ += count;
    if (kind.ends_with("/no_answer")) no_answers_ += count;
  }
}

std::optional<std::string> NothingLearned::reason(const JobSpec& job) const {
  if (steps_ == 0 || has_variance_) return {};
  // After a resume only what came since is known.
  return fmt::format(
      "nothing was learned: in none of the {}{} steps did the rewards of a group differ{}. {}",
      steps_ < job.grpo.steps ? "last " : "", steps_,
      job.grpo.kl_coef > 0 ? " (all that was left is the pull to the reference)" : "",
      likely_cause(job));
}

std::string NothingLearned::likely_cause(const JobSpec& job) const {
  const auto steps = static_cast<double>(steps_);
  if (verdicts_ == 0) return "Every group was dropped; the lines above say why";
  if (cut_ / steps > 0.9) {
    return fmt::format(
        "{:.0f} % of the responses were cut at rollout.max_response_tokens = {}, before they could "
        "answer; raise it",
        100 * cut_ / steps, job.rollout.max_response_tokens);
  }
  if (accuracy_ / steps > 0.99) {
    return "Every response was right: the problems of data.train are too easy for this policy";
  }
  if (no_answers_ * 10 > verdicts_ * 9) {
    return fmt::format(
        "No answer was found in {:.0f} % of the responses: the policy does not write it as "
        "data.template = \"{}\" asks (troupe generate shows some); a cold start, another template "
        "or a reward for the format helps",
        100.0 * static_cast<double>(no_answers_) / static_cast<double>(verdicts_),
        job.data.template_name);
  }
  if (accuracy_ == 0) {
    return "No response was right: the problems of data.train are too hard for this policy, or its "
           "reference answers are not what the problems ask for";
  }
  return fmt::format(
      "The responses to a prompt were all worth the same; raise grpo.group_size = {} or "
      "rollout.temperature = {}",
      job.grpo.group_size, job.rollout.temperature);
}

}  // namespace troupe::actors

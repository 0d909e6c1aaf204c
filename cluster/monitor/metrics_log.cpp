#include "cluster/monitor/metrics_log.h"

#include <unistd.h>

#include <algorithm>

#include "schemas/json_text.h"

namespace troupe::cluster {

using Json = MetricLine;

namespace {

constexpr size_t kWaitingBytesMax = 1 << 20;  // While the disk is full; further lines are lost.

}  // namespace

MetricLine to_line(const StepMetrics& step) {
  Json json{{"policy_version", number(step.version)},
            {"stage", step.stage == Stage::kSft ? "sft" : "grpo"},
            {"step", step.stage_step},
            {"loss", step.loss},
            {"grad_norm", step.grad_norm},
            {"lr", step.learning_rate},
            {"skipped", step.was_skipped},
            {"tokens/learned", step.tokens_learned},
            {"moe/max_vio", step.expert_load_max_violation},
            {"entropy", step.entropy},
            {"timing_s/update_actor", step.learn_seconds}};
  if (step.stage == Stage::kGrpo) {
    json["round"] = number(step.round);
    json["reward/mean"] = step.reward_mean;
    json["reward/std"] = step.reward_std;
    json["accuracy"] = step.accuracy;
    json["format"] = step.format_share;
    json["thinking"] = step.thinking_share;
    json["response_length/mean"] = step.response_length_mean;
    json["response_length/clip_ratio"] = step.response_length_clipped;
    json["frac_reward_zero_std"] = step.frac_reward_zero_std;
    for (const auto& [name, value] : step.reward_values) json["rewards/" + name + "/mean"] = value;
    json["verdicts"] = step.verdicts;
    json["kl"] = step.kl;
    json["ppo_kl"] = step.ppo_kl;
    json["clip_ratio/region_mean"] = step.clip_fraction;
    json["ratio/max"] = step.ratio_max;
    json["advantage/abs_mean"] = step.advantage_abs_mean;
    json["staleness/mean"] = step.staleness_steps_mean;
    json["staleness/max"] = step.staleness_steps_max;
    for (const auto& [length, value] : step.staleness_steps_by_length) {
      json["staleness/length_" + length] = value;
    }
    for (const auto& [length, value] : step.log_ratio_abs_by_length) {
      json["log_ratio_abs/length_" + length] = value;
    }
    // A weight is above 0, so this is a job with an off-policy correction.
    if (step.importance_weight_max > 0) {
      json["importance_weight/mean"] = step.importance_weight_mean;
      json["importance_weight/max"] = step.importance_weight_max;
      json["importance_weight/truncated"] = step.importance_truncated_share;
    }
    json["timing_s/gen"] = step.generate_seconds;
    json["timing_s/reward"] = step.verify_seconds;
    json["tokens/generated"] = step.tokens_generated;
  }
  return json;
}

MetricLine to_line(const EvalMetrics& evaluation) {
  const auto [low, high] = wilson_interval_95(evaluation.solved, evaluation.problems);
  return Json{{"policy_version", number(evaluation.version)},
              {"eval/pass_at_1", evaluation.pass_at_1()},
              {"eval/interval_95", {low, high}},
              {"eval/problems", evaluation.problems},
              {"eval/temperature", evaluation.temperature},
              {"eval/response_length/mean", evaluation.response_length_mean},
              {"eval/thinking", evaluation.thinking_share}};
}

MetricLine to_line(const RunSample& sample) {
  const Ledger& ledger = sample.ledger;
  return Json{{"workers/ready", std::count_if(sample.workers.begin(), sample.workers.end(),
                                              [](const auto& one) { return one.is_ready; })},
              {"workers/lost", ledger.workers_lost},
              {"busy/rollout", sample.rollout_busy_share},
              {"busy/verifier", sample.verifier_busy_share},
              {"busy/learner", sample.learner_busy_share},
              {"queue/waiting", sample.groups_waiting},
              {"queue/generating", sample.groups_generating},
              {"queue/judging", sample.groups_judging},
              {"queue/committing", sample.groups_committing},
              {"verdicts_per_second", sample.verdicts_per_second},
              {"verdicts", ledger.verdicts},
              {"seconds/rollout", ledger.rollout_seconds},
              {"seconds/verifier", ledger.verifier_seconds},
              {"seconds/learner", ledger.learner_seconds},
              {"seconds/wasted", ledger.wasted_seconds},
              {"money", ledger.money}};
}

bool MetricsLog::open(bool goes_on) {
  file_.reset(std::fopen(path_.c_str(), goes_on ? "a" : "w"));
  return file_ != nullptr;
}

void MetricsLog::write(const MetricLine& line) {
  if (!file_) return;
  const std::string text = to_text(line) + '\n';
  if (waiting_.size() + text.size() <= kWaitingBytesMax) waiting_ += text;
  // A full disk may take a part of it; half a line would spoil the next one.
  const int file = ::fileno(file_.get());
  const off_t before = ::lseek(file, 0, SEEK_END);
  const ssize_t written = ::write(file, waiting_.data(), waiting_.size());
  if (written == static_cast<ssize_t>(waiting_.size())) {
    waiting_.clear();
  } else if (written > 0) {
    (void)!::ftruncate(file, before);
  }
}

}  // namespace troupe::cluster

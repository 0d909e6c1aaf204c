// What a job is: the job file's tables and keys, one struct per table, with the defaults that a
// missing key means. cluster/jobs reads it from TOML; everything below gets it as this struct.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace troupe {

struct PolicySpec {
  std::string config = "tiny-moe";  // A named architecture with fresh weights ...
  std::string model{};              // ... or a folder with a checkpoint; exactly one of the two.
  std::string attention_form = "latent";
};

struct DataSpec {
  std::string train{};
  std::vector<std::string>
      cold_start{};  // One file, or several that are learned one after another.
  std::string held_out{};
  std::string template_name = "r1-zero";  // Key: template.
  bool shuffle = true;
  int64_t max_prompt_tokens = 128;
  std::string prompt_column{};  // Keys: columns = { prompt, answer }. Empty: found by name.
  std::string answer_column{};
};

struct SftSpec {
  int64_t steps = 0;
  int64_t batch_tokens = 8192;
  double learning_rate = 1e-3;
  std::string learning_rate_schedule = "constant";  // constant | cosine, after the warm-up.
  double learning_rate_final_fraction = 0.1;        // Cosine ends at this share of learning_rate.
  std::vector<double> part_shares{};  // Share of `steps` for each cold_start file; empty: equal.
  // A part but the last goes on until greedy pass@1 on the held-out problems reaches this, with
  // steps that the next part lends, at most half of its own; 0: no gate.
  double gate_pass_at_1 = 0;
  std::optional<double> balance_bias_rate{};  // Overrides learner.balance_bias_rate in this stage.
};

struct GrpoSpec {
  int64_t steps = 0;
  int64_t prompts_per_round = 32;
  int64_t group_size = 16;
  int64_t minibatches_per_round = 1;
  double learning_rate = 1e-4;
  double clip_low = 0.2;
  double clip_high = 0.2;
  double kl_coef = 0.001;
  std::string kl_estimator = "k3";
  int64_t reference_refresh_steps = 400;
  std::string advantage = "group_normalised";
  std::string loss_aggregation = "sequence_mean_token_mean";
  std::string zero_variance_groups = "keep";  // keep | drop | replace
  int64_t replacement_rounds_max = 4;
  std::string off_policy_correction = "none";  // none | decoupled | truncated
  double importance_cap = 2.0;                 // Largest importance weight; truncated only.
};

struct OptimizerSpec {
  double beta1 = 0.9;  // Key: betas = [beta1, beta2].
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  double gradient_clip = 1.0;
  int64_t warmup_steps = 10;
  int64_t non_finite_steps_max = 5;  // This many skipped steps in a row stop the job.
};

struct RolloutSpec {
  double temperature = 1.0;
  double top_p = 1.0;
  int64_t max_response_tokens = 96;
  int64_t cache_mb = 512;
  int64_t rescore_every_rounds =
      10;  // Re-score a sample of tokens with the training forward; 0: no.
  // A response that is longer is recorded in parts of so many tokens while it is generated, and
  // goes on from there after a loss; 0: no.
  int64_t segment_tokens = 0;
};

struct LearnerSpec {
  int64_t microbatch_tokens = 8192;
  int64_t gradient_lanes = 4;
  int64_t lane_width = 1;  // Micro-batches of a lane's wave.
  bool recompute_activations = false;
  int64_t expert_parallel = 1;
  double balance_bias_rate = 0.0;
};

using SettingValue = std::variant<bool, double, std::string, std::vector<std::string>>;

// A key of a reward that its verifier defines.
struct RewardSetting {
  std::string key{};
  SettingValue value{};
  bool operator==(const RewardSetting&) const = default;
};

// A file that a reward's program needs. Its content is part of the job, so that the same job is
// judged by the same program wherever and whenever it runs.
struct RewardFile {
  std::string name{};  // Without folders.
  std::string content{};
  bool operator==(const RewardFile&) const = default;
};

struct RewardSpec {
  std::string name{};      // The key under [rewards].
  std::string verifier{};  // One of actors/verifier's table, which also says what may be set.
  double weight = 1.0;
  std::vector<RewardSetting> settings{};  // Those that are set, in byte order of distinct keys.
  std::vector<RewardFile> files{};
};

struct ScheduleSpec {
  std::string mode = "sync";
  int64_t lag = 0;
  int64_t staleness_max_steps = 16;
  int64_t checkpoint_every_steps = 20;
  int64_t checkpoints_kept = 3;
  int64_t checkpoint_copies = 2;  // On different hosts, where there are some.
  bool keep_best = false;         // The checkpoint of the best evaluation stays as well.
  bool keep_groups = false;       // Groups stay in the store when no recovery point needs them.
};

// Rounds that generation may be ahead of learning: the lag, or as many as keep a token's policy at
// most `staleness_max_steps` behind the learner's when its round's last step begins.
inline uint64_t rounds_ahead(const ScheduleSpec& schedule, int64_t minibatches_per_round) {
  if (schedule.mode != "async") return static_cast<uint64_t>(schedule.lag);
  return static_cast<uint64_t>((schedule.staleness_max_steps + 1) / minibatches_per_round - 1);
}

struct EvalSpec {
  int64_t every_steps = 20;
  int64_t problems = 500;
  double temperature = 0.0;
};

struct ResourcesSpec {
  std::string placement = "colocated";
  int64_t rollout = 1;
  int64_t rollout_max =
      0;  // Workers that may generate while slots are idle; 0: as many as rollout.
  int64_t learner = 1;
  int64_t verifier = 1;            // 0: one per core.
  int64_t threads_per_worker = 0;  // 0: the machine's cores shared out.
  std::string device = "cpu";      // Of workers: cpu, cuda, or auto.
  // So long do workers without a learner wait for another head when theirs is gone; 0: they end.
  int64_t reconnect_seconds = 30;
  // Responses that people can read afterwards take up to so much disk; 0: none are kept.
  int64_t traces_kept_mib = 64;
};

struct PricesSpec {
  double cpu_core_hour = 0.04;
  double gpu_hour = 2.0;
};

struct JobSpec {
  std::string name = "job";
  uint64_t seed = 1;
  int64_t priority = 0;  // Of two jobs that wait, the one with the higher number begins first.
  PolicySpec policy{};
  DataSpec data{};
  SftSpec sft{};
  GrpoSpec grpo{};
  OptimizerSpec optimizer{};
  RolloutSpec rollout{};
  LearnerSpec learner{};
  std::vector<RewardSpec> rewards{};
  ScheduleSpec schedule{};
  EvalSpec eval{};
  ResourcesSpec resources{};
  PricesSpec prices{};
};

}  // namespace troupe

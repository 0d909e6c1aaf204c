// What a run reports about itself, under the names the field uses. Numbers only: how they are shown
// is cluster/monitor's matter.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schemas/ids.h"
#include "schemas/verdict.h"

namespace troupe {

enum class Stage : uint8_t { kSft = 0, kGrpo = 1 };

// One optimizer step. Fields of the other stage are 0.
struct StepMetrics {
  Stage stage = Stage::kSft;
  PolicyVersion version{};     // After the step.
  int64_t stage_step = 0;      // 1 .. stage_steps
  int64_t stage_steps = 0;     //
  double loss = 0;             // loss
  double grad_norm = 0;        // grad_norm, before clipping
  double learning_rate = 0;    // lr
  bool was_skipped = false;    // Non-finite gradient or empty minibatch: the weights did not move.
  bool was_finite = true;      // The gradient, where there was one.
  int64_t tokens_learned = 0;  // Tokens that went through forward and backward, prompts included.
  double expert_load_max_violation = 0;  // moe/max_vio: largest expert load / fair load - 1

  // GRPO, over the round that the step belongs to.
  Round round{};
  double reward_mean = 0;           // reward/mean
  double reward_std = 0;            // reward/std
  double accuracy = 0;              // accuracy: share of trajectories whose accuracy part is right
  double format_share = 0;          // share of trajectories whose format part is right
  double thinking_share = 0;        // share of responses with a non-empty think part
  double response_length_mean = 0;  // response_length/mean, tokens, the end token included
  double response_length_clipped = 0;  // response_length/clip_ratio: share cut at the budget
  double frac_reward_zero_std = 0;     // frac_reward_zero_std: groups without variance
  std::map<std::string, double> reward_values{};  // rewards/NAME/mean: value by part, unweighted
  std::map<std::string, int64_t> verdicts{};      // verdicts: by "NAME/KIND"
  // GRPO, over the minibatch.
  double entropy = 0;             // entropy, nats per response token
  double kl = 0;                  // kl: estimator's mean per token against the reference
  double ppo_kl = 0;              // ppo_kl: mean of rollout_logprob - logprob
  double clip_fraction = 0;       // clip_ratio/region_mean
  double ratio_max = 0;           // largest importance ratio
  double advantage_abs_mean = 0;  //
  // GRPO, over the minibatch: how far the policy is from the ones that wrote the responses. Lengths
  // are buckets of response tokens, "0-63", "64-127", "128-255", ...
  double staleness_steps_mean = 0;  // staleness/mean: of trajectories, each by its tokens
  int64_t staleness_steps_max = 0;  // staleness/max: of the oldest token
  std::map<std::string, double> staleness_steps_by_length{};  // mean of trajectories
  std::map<std::string, double> log_ratio_abs_by_length{};    // mean |logprob - rollout_logprob|
  // Of the off-policy correction; 0 without one.
  double importance_weight_mean = 0;
  double importance_weight_max = 0;
  double importance_truncated_share = 0;  // share of tokens whose weight was above the cap

  // Seconds of wall clock; reported, never used in a result.
  double generate_seconds = 0;   // timing_s/gen, of the round, on its first step
  double verify_seconds = 0;     // timing_s/reward
  double learn_seconds = 0;      // timing_s/update_actor
  int64_t tokens_generated = 0;  // Of the round, on its first step.
};

// pass@1 on the held-out problems: one sample per problem.
struct EvalMetrics {
  PolicyVersion version{};
  double temperature = 0;
  int64_t problems = 0;
  int64_t solved = 0;
  double response_length_mean = 0;
  double thinking_share = 0;
  double seconds = 0;
  int64_t tokens_generated = 0;

  double pass_at_1() const {
    return problems == 0 ? 0.0 : static_cast<double>(solved) / static_cast<double>(problems);
  }
};

// A response as people see it.
struct Trace {
  std::string prompt{};
  std::string response{};
  std::string gold{};
  bool is_solved = false;
};

// Wilson's 95 % interval for `successes` of `trials`.
std::pair<double, double> wilson_interval_95(int64_t successes, int64_t trials);

// Totals of a run; what a bill is made of.
struct Ledger {
  int64_t tokens_generated = 0;
  int64_t tokens_regenerated = 0;  // Of groups that were begun again, without those in tokens_kept.
  int64_t tokens_learned = 0;
  int64_t trajectories_generated = 0;
  int64_t trajectories_regenerated = 0;
  int64_t trajectories_learned = 0;
  std::map<std::string, int64_t> trajectories_dropped{};  // By reason.
  // By kind, accuracy part; and "infra_error" for each response whose verifier failed, whatever
  // became of it.
  std::map<std::string, int64_t> verdicts{};
  int64_t steps_redone = 0;     // Learned again after a learner was lost, to the same bits.
  int64_t workers_lost = 0;     //
  double rollout_seconds = 0;   // core-seconds
  double verifier_seconds = 0;  // core-seconds
  double learner_seconds = 0;   // core-seconds
  double wasted_seconds = 0;    // Of the three above: work that was lost and done again.
  double money = 0;             // In the currency of [prices].
  int64_t tokens_kept = 0;      // Of groups that were lost, and not generated again.
};

// What a worker process is and does.
struct WorkerStatus {
  uint32_t slot = 0;
  std::string roles{};     // "rollout+learner"
  std::string activity{};  // "generating 64 groups", "starting", "lost: killed by signal 9"
  uint64_t pid = 0;
  uint64_t epoch = 0;  // Of its lease; each new process of a slot gets a higher one.
  bool is_ready = false;
  // Of a learner of several ranks.
  uint32_t rank = 0;
  uint32_t num_ranks = 1;
  uint64_t team_bytes = 0;  // That it has sent to the others.
  // Of its slot, since the head that says so began: tokens of whole responses.
  uint64_t tokens_generated = 0;
};

// A piece of work that has ended. Times are seconds before the sample that tells of it.
struct WorkSpan {
  uint32_t slot = 0;
  std::string role{};            // "rollout", "verifier" or "learner"
  std::string what{};            // "generating 64 groups", "learning step 12"
  std::optional<Round> round{};  // Of what it was for, where there is one.
  double began_ago = 0;
  double ended_ago = 0;
};

// The state of a run between its events, for people who watch: workers, queues, bill.
struct RunSample {
  std::vector<WorkerStatus> workers{};
  int64_t groups_waiting = 0;     // For a rollout worker.
  int64_t groups_generating = 0;  // Held by one.
  int64_t groups_judging = 0;     // Waiting for or held by a verifier.
  int64_t groups_committing = 0;  // On their way into the store.
  int64_t steps_learning = 0;     // Given to the learner.
  double rollout_busy_share = 0;  // Of the role's workers, since the sample before.
  double verifier_busy_share = 0;
  double learner_busy_share = 0;
  double verdicts_per_second = 0;  // Since the sample before.
  Ledger ledger{};
  std::vector<WorkSpan> work{};  // Since the sample before; for this process only.
};

}  // namespace troupe

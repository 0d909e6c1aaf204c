#include "cluster/jobs/job_keys.h"
#include "schemas/bounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace troupe::cluster {
namespace {

// Bounds against slips of the hand (a learning rate of 10, a batch in bytes), not limits of the
// program.
constexpr Range kSteps{0, 1e8};
constexpr Range kCount{1, 1e6};
constexpr Range kTokens{1, 1 << 20};
constexpr Range kBatchTokens{1, 1 << 26};
constexpr Range kLearningRate{0, 1, true};
constexpr Range kShare{0, 1};
constexpr Range kWorkers{1, 4096};
constexpr Range kPrice{0, 1e6};

template <auto kMember>
auto& at(JobSpec& job) {
  return job.*kMember;
}

template <auto kTable, auto kMember>
auto& at(JobSpec& job) {
  return (job.*kTable).*kMember;
}

Betas betas(JobSpec& job) { return {job.optimizer.beta1, job.optimizer.beta2}; }

// clang-format off
const std::array kKeys = {
    Key{.path = "name", .slot = at<&JobSpec::name>,
        .comment = "letters, digits, '-', '_' and '.'"},
    Key{.path = "seed", .slot = at<&JobSpec::seed>,
        .comment = "every random number of the job comes from it"},
    Key{.path = "priority", .slot = at<&JobSpec::priority>, .range = {-100, 100},
        .is_in_hash = false, .comment = "of two jobs that wait, the higher number begins first"},

    Key{.path = "policy.config", .slot = at<&JobSpec::policy, &PolicySpec::config>,
        .comment = "a named architecture with fresh weights: tiny-moe | small-moe; or"},
    Key{.path = "policy.model", .slot = at<&JobSpec::policy, &PolicySpec::model>, .is_path = true,
        .comment = "a folder with config.json and safetensors, or a GGUF file"},
    Key{.path = "policy.attention_form", .slot = at<&JobSpec::policy, &PolicySpec::attention_form>,
        .allowed = {"latent", "expanded"},
        .comment = "latent: the same form when generating and when learning"},

    Key{.path = "data.train", .slot = at<&JobSpec::data, &DataSpec::train>, .is_path = true,
        .comment = "JSON lines with a question and its reference answer"},
    Key{.path = "data.cold_start", .slot = at<&JobSpec::data, &DataSpec::cold_start>,
        .is_path = true, .comment = "worked examples for [sft]; a list is learned part by part"},
    Key{.path = "data.held_out", .slot = at<&JobSpec::data, &DataSpec::held_out>, .is_path = true,
        .comment = "problems for [eval], never trained on"},
    Key{.path = "data.template", .slot = at<&JobSpec::data, &DataSpec::template_name>,
        .comment = "r1-zero | plain | chatml | ... | model: the policy's own"},
    Key{.path = "data.shuffle", .slot = at<&JobSpec::data, &DataSpec::shuffle>,
        .comment = "a new order every epoch"},
    Key{.path = "data.max_prompt_tokens",
        .slot = at<&JobSpec::data, &DataSpec::max_prompt_tokens>, .range = kTokens,
        .comment = "a longer prompt is left out"},
    Key{.path = "data.columns.prompt", .slot = at<&JobSpec::data, &DataSpec::prompt_column>,
        .comment = "the prompt's column; not set: found by name"},
    Key{.path = "data.columns.answer", .slot = at<&JobSpec::data, &DataSpec::answer_column>,
        .comment = "the reference's column; not set: found by name"},

    Key{.path = "sft.steps", .slot = at<&JobSpec::sft, &SftSpec::steps>, .range = kSteps,
        .comment = "0: no supervised stage"},
    Key{.path = "sft.batch_tokens", .slot = at<&JobSpec::sft, &SftSpec::batch_tokens>,
        .range = kBatchTokens, .comment = "tokens per step, prompts included"},
    Key{.path = "sft.learning_rate", .slot = at<&JobSpec::sft, &SftSpec::learning_rate>,
        .range = kLearningRate, .comment = "after the warm-up"},
    Key{.path = "sft.learning_rate_schedule",
        .slot = at<&JobSpec::sft, &SftSpec::learning_rate_schedule>,
        .allowed = {"constant", "cosine"}, .comment = "constant | cosine"},
    Key{.path = "sft.learning_rate_final_fraction",
        .slot = at<&JobSpec::sft, &SftSpec::learning_rate_final_fraction>, .range = kShare,
        .comment = "cosine ends at this share of learning_rate"},
    Key{.path = "sft.part_shares", .slot = at<&JobSpec::sft, &SftSpec::part_shares>,
        .range = {0, 1, true}, .comment = "share of steps per cold_start file; not set: equal"},
    Key{.path = "sft.gate_pass_at_1", .slot = at<&JobSpec::sft, &SftSpec::gate_pass_at_1>,
        .range = kShare,
        .comment = "a part borrows steps from the next until greedy pass@1 is this; 0: no gate"},
    Key{.path = "sft.balance_bias_rate", .slot = at<&JobSpec::sft, &SftSpec::balance_bias_rate>,
        .range = kShare, .comment = "instead of learner.balance_bias_rate in this stage"},

    Key{.path = "grpo.steps", .slot = at<&JobSpec::grpo, &GrpoSpec::steps>, .range = kSteps,
        .comment = "optimizer steps; 0: no reinforcement learning"},
    Key{.path = "grpo.prompts_per_round",
        .slot = at<&JobSpec::grpo, &GrpoSpec::prompts_per_round>, .range = kCount,
        .comment = "groups that one policy generates"},
    Key{.path = "grpo.group_size", .slot = at<&JobSpec::grpo, &GrpoSpec::group_size>,
        .range = {2, 65536}, .comment = "responses per prompt"},
    Key{.path = "grpo.minibatches_per_round",
        .slot = at<&JobSpec::grpo, &GrpoSpec::minibatches_per_round>, .range = kCount,
        .comment = "steps per round; divides prompts_per_round and steps"},
    Key{.path = "grpo.learning_rate", .slot = at<&JobSpec::grpo, &GrpoSpec::learning_rate>,
        .range = kLearningRate, .comment = "constant after the warm-up"},
    Key{.path = "grpo.clip_low", .slot = at<&JobSpec::grpo, &GrpoSpec::clip_low>,
        .range = {0, 1, true}, .comment = "the ratio is clipped to [1 - clip_low, 1 + clip_high]"},
    Key{.path = "grpo.clip_high", .slot = at<&JobSpec::grpo, &GrpoSpec::clip_high>,
        .range = {0, 100, true}, .comment = "0.28 is DAPO's clip-higher"},
    Key{.path = "grpo.kl_coef", .slot = at<&JobSpec::grpo, &GrpoSpec::kl_coef>,
        .range = {0, 100}, .comment = "weight of the divergence from the reference"},
    Key{.path = "grpo.kl_estimator", .slot = at<&JobSpec::grpo, &GrpoSpec::kl_estimator>,
        .allowed = {"k1", "k2", "k3"}, .comment = "k1 | k2 | k3"},
    Key{.path = "grpo.reference_refresh_steps",
        .slot = at<&JobSpec::grpo, &GrpoSpec::reference_refresh_steps>, .range = {1, 1e8},
        .comment = "the reference becomes the current weights after so many steps"},
    Key{.path = "grpo.advantage", .slot = at<&JobSpec::grpo, &GrpoSpec::advantage>,
        .allowed = {"group_normalised", "group_centred"},
        .comment = "group_normalised | group_centred"},
    Key{.path = "grpo.loss_aggregation", .slot = at<&JobSpec::grpo, &GrpoSpec::loss_aggregation>,
        .allowed = {"sequence_mean_token_mean", "token_mean"},
        .comment = "sequence_mean_token_mean | token_mean"},
    Key{.path = "grpo.zero_variance_groups",
        .slot = at<&JobSpec::grpo, &GrpoSpec::zero_variance_groups>,
        .allowed = {"keep", "drop", "replace"}, .comment = "keep | drop | replace"},
    Key{.path = "grpo.replacement_rounds_max",
        .slot = at<&JobSpec::grpo, &GrpoSpec::replacement_rounds_max>, .range = {0, 1000},
        .comment = "replace: how often dropped groups are drawn again"},
    Key{.path = "grpo.off_policy_correction",
        .slot = at<&JobSpec::grpo, &GrpoSpec::off_policy_correction>,
        .allowed = {"none", "decoupled", "truncated"},
        .comment = "none | decoupled | truncated: weights for responses of an older policy"},
    Key{.path = "grpo.importance_cap", .slot = at<&JobSpec::grpo, &GrpoSpec::importance_cap>,
        .range = {0, 1e6, true}, .comment = "truncated: the largest importance weight"},

    Key{.path = "optimizer.betas", .slot = betas, .range = {0, 0.999999}, .comment = "AdamW"},
    Key{.path = "optimizer.epsilon", .slot = at<&JobSpec::optimizer, &OptimizerSpec::epsilon>,
        .range = {1e-30, 1}, .comment = "AdamW"},
    Key{.path = "optimizer.weight_decay",
        .slot = at<&JobSpec::optimizer, &OptimizerSpec::weight_decay>, .range = {0, 10},
        .comment = "of matrices"},
    Key{.path = "optimizer.gradient_clip",
        .slot = at<&JobSpec::optimizer, &OptimizerSpec::gradient_clip>, .range = {0, 1e6, true},
        .comment = "largest gradient norm"},
    Key{.path = "optimizer.warmup_steps",
        .slot = at<&JobSpec::optimizer, &OptimizerSpec::warmup_steps>, .range = kSteps,
        .comment = "of each stage"},
    Key{.path = "optimizer.non_finite_steps_max",
        .slot = at<&JobSpec::optimizer, &OptimizerSpec::non_finite_steps_max>, .range = kCount,
        .comment = "so many skipped steps in a row stop the job"},

    Key{.path = "rollout.temperature", .slot = at<&JobSpec::rollout, &RolloutSpec::temperature>,
        .range = {1e-3, 100}, .comment = "of sampling and of every log-probability"},
    Key{.path = "rollout.top_p", .slot = at<&JobSpec::rollout, &RolloutSpec::top_p>,
        .range = {0, 1, true}, .comment = "1: the whole vocabulary"},
    Key{.path = "rollout.max_response_tokens",
        .slot = at<&JobSpec::rollout, &RolloutSpec::max_response_tokens>, .range = kTokens,
        .comment = "a longer response is cut and judged as it is"},
    Key{.path = "rollout.cache_mb", .slot = at<&JobSpec::rollout, &RolloutSpec::cache_mb>,
        .range = {1, 1 << 24}, .comment = "attention cache of a worker"},
    Key{.path = "rollout.rescore_every_rounds",
        .slot = at<&JobSpec::rollout, &RolloutSpec::rescore_every_rounds>, .range = kSteps,
        .comment = "compare a sample of log-probabilities with the learner's, bit by bit; 0: no"},
    Key{.path = "rollout.segment_tokens",
        .slot = at<&JobSpec::rollout, &RolloutSpec::segment_tokens>, .range = {0, 1 << 20},
        .is_in_hash = false,
        .comment = "record responses in parts of so many tokens, to go on after a loss; 0: no"},

    Key{.path = "learner.microbatch_tokens",
        .slot = at<&JobSpec::learner, &LearnerSpec::microbatch_tokens>, .range = kBatchTokens,
        .comment = "tokens of one forward and backward"},
    Key{.path = "learner.gradient_lanes",
        .slot = at<&JobSpec::learner, &LearnerSpec::gradient_lanes>, .range = {1, 1024},
        .comment = "a power of two; fixes the order in which gradients are added"},
    Key{.path = "learner.lane_width",
        .slot = at<&JobSpec::learner, &LearnerSpec::lane_width>, .range = {1, 1024},
        .comment = "a power of two; micro-batches of a lane that ranks may work at the same time"},
    Key{.path = "learner.recompute_activations",
        .slot = at<&JobSpec::learner, &LearnerSpec::recompute_activations>, .is_in_hash = false,
        .comment = "keep each layer's input only: less memory, more time, the same weights"},
    Key{.path = "learner.expert_parallel",
        .slot = at<&JobSpec::learner, &LearnerSpec::expert_parallel>, .range = kWorkers,
        .comment = "learners that share the experts"},
    Key{.path = "learner.balance_bias_rate",
        .slot = at<&JobSpec::learner, &LearnerSpec::balance_bias_rate>, .range = kShare,
        .comment = "how fast the gate's bias evens out the experts' load; 0: frozen"},

    Key{.path = "schedule.mode", .slot = at<&JobSpec::schedule, &ScheduleSpec::mode>,
        .allowed = {"sync", "pipelined", "async"},
        .comment = "sync: learn a round, then generate the next; pipelined, async: both at once"},
    Key{.path = "schedule.lag", .slot = at<&JobSpec::schedule, &ScheduleSpec::lag>,
        .range = {0, 64}, .comment = "pipelined: rounds between generation and learning"},
    Key{.path = "schedule.staleness_max_steps",
        .slot = at<&JobSpec::schedule, &ScheduleSpec::staleness_max_steps>, .range = kSteps,
        .comment = "async: how far behind the learner's a token's policy may be"},
    Key{.path = "schedule.checkpoint_every_steps",
        .slot = at<&JobSpec::schedule, &ScheduleSpec::checkpoint_every_steps>,
        .range = kSteps, .is_in_hash = false, .comment = "of [grpo]; 0: only the one at the end"},
    Key{.path = "schedule.checkpoints_kept",
        .slot = at<&JobSpec::schedule, &ScheduleSpec::checkpoints_kept>, .range = {1, 1e6},
        .is_in_hash = false, .comment = "the newest ones"},
    Key{.path = "schedule.keep_best", .slot = at<&JobSpec::schedule, &ScheduleSpec::keep_best>,
        .is_in_hash = false, .comment = "and the best of [eval] in checkpoints/best"},
    Key{.path = "schedule.keep_groups",
        .slot = at<&JobSpec::schedule, &ScheduleSpec::keep_groups>, .is_in_hash = false,
        .comment = "all groups stay in the store: for troupe run --replay"},

    Key{.path = "storage.copies",
        .slot = at<&JobSpec::schedule, &ScheduleSpec::checkpoint_copies>, .range = {1, 2},
        .is_in_hash = false,
        .comment = "of a recovery point, on different hosts; where there is one host, one"},

    Key{.path = "eval.every_steps", .slot = at<&JobSpec::eval, &EvalSpec::every_steps>,
        .range = kSteps, .is_in_hash = false, .comment = "0: only before and after [grpo]"},
    Key{.path = "eval.problems", .slot = at<&JobSpec::eval, &EvalSpec::problems>,
        .range = {0, 1e7}, .is_in_hash = false,
        .comment = "the first so many of data.held_out; 0: no evaluation"},
    Key{.path = "eval.temperature", .slot = at<&JobSpec::eval, &EvalSpec::temperature>,
        .range = {0, 100}, .is_in_hash = false, .comment = "0: the most probable token"},

    Key{.path = "resources.placement",
        .slot = at<&JobSpec::resources, &ResourcesSpec::placement>,
        .allowed = {"colocated", "split"}, .is_in_hash = false,
        .comment = "colocated: rollout and learner share a process and the weights"},
    Key{.path = "resources.rollout", .slot = at<&JobSpec::resources, &ResourcesSpec::rollout>,
        .range = kWorkers, .is_in_hash = false, .comment = "workers that generate"},
    Key{.path = "resources.rollout_max",
        .slot = at<&JobSpec::resources, &ResourcesSpec::rollout_max>, .range = {0, 4096},
        .is_in_hash = false,
        .comment = "so many may generate while slots are idle; 0: as many as rollout"},
    Key{.path = "resources.learner", .slot = at<&JobSpec::resources, &ResourcesSpec::learner>,
        .range = {1, kRanksMax}, .is_in_hash = false,
        .comment = "ranks of the learner: divides learner.gradient_lanes, or several to a lane"},
    Key{.path = "resources.verifier", .slot = at<&JobSpec::resources, &ResourcesSpec::verifier>,
        .range = {0, 4096}, .is_in_hash = false, .comment = "workers that judge; 0: one per core"},
    Key{.path = "resources.threads_per_worker",
        .slot = at<&JobSpec::resources, &ResourcesSpec::threads_per_worker>, .range = {0, 4096},
        .is_in_hash = false, .comment = "0: the machine's cores shared out"},
    Key{.path = "resources.device", .slot = at<&JobSpec::resources, &ResourcesSpec::device>,
        .allowed = {"cpu", "cuda", "auto"}, .is_in_hash = false,
        .comment = "of learner and rollouts; auto: a GPU where there is one"},
    Key{.path = "resources.reconnect_seconds",
        .slot = at<&JobSpec::resources, &ResourcesSpec::reconnect_seconds>, .range = {0, 86400},
        .is_in_hash = false, .comment = "workers that do not learn wait so long for a lost head"},
    Key{.path = "resources.traces_kept_mib",
        .slot = at<&JobSpec::resources, &ResourcesSpec::traces_kept_mib>, .range = {0, 1 << 20},
        .is_in_hash = false, .comment = "of responses to read in HOME/traces; 0: none"},

    Key{.path = "prices.cpu_core_hour", .slot = at<&JobSpec::prices, &PricesSpec::cpu_core_hour>,
        .range = kPrice, .is_in_hash = false, .comment = "what the bill should say"},
    Key{.path = "prices.gpu_hour", .slot = at<&JobSpec::prices, &PricesSpec::gpu_hour>,
        .range = kPrice, .is_in_hash = false, .comment = "what the bill should say"},
};

// What verl, OpenRLHF, TRL, slime, AReaL, prime-rl, NeMo-RL, SkyRL, ROLL and Tunix call things. The
// end of an unknown path is looked up here, longest first, with '-' read as '_'.
struct PeerName {
  std::string_view theirs;
  std::string_view ours;
  std::string_view note = "";
};

constexpr std::string_view kCountsPrompts = "it counts prompts, not responses";
constexpr std::string_view kCountsSteps =
    "it counts steps per round: prompts_per_round / prompts per step";
constexpr std::string_view kStepsNotEpochs = "it counts optimizer steps, not epochs";
constexpr std::string_view kBothClips = "the two sides have a key each";

constexpr std::array kPeerNames = {
    PeerName{"rollout.n", "grpo.group_size"},
    PeerName{"num_generations", "grpo.group_size"},
    PeerName{"num_generations_per_prompt", "grpo.group_size"},
    PeerName{"n_samples_per_prompt", "grpo.group_size"},
    PeerName{"n_samples", "grpo.group_size"},
    PeerName{"num_samples_per_prompt", "grpo.group_size"},
    PeerName{"num_return_sequences_in_group", "grpo.group_size"},
    PeerName{"train_batch_size", "grpo.prompts_per_round", kCountsPrompts},
    PeerName{"rollout_batch_size", "grpo.prompts_per_round", kCountsPrompts},
    PeerName{"batch_size", "grpo.prompts_per_round", kCountsPrompts},
    PeerName{"local_batch_size", "grpo.prompts_per_round", kCountsPrompts},
    PeerName{"num_prompts_per_step", "grpo.prompts_per_round", kCountsPrompts},
    PeerName{"ppo_mini_batch_size", "grpo.minibatches_per_round", kCountsSteps},
    PeerName{"mini_batch_size", "grpo.minibatches_per_round", kCountsSteps},
    PeerName{"policy_mini_batch_size", "grpo.minibatches_per_round", kCountsSteps},
    PeerName{"global_batch_size", "grpo.minibatches_per_round", kCountsSteps},
    PeerName{"train_global_batch_size", "grpo.minibatches_per_round", kCountsSteps},
    PeerName{"ppo_n_minibatches", "grpo.minibatches_per_round"},
    PeerName{"steps_per_generation", "grpo.minibatches_per_round"},
    PeerName{"use_decoupled_loss", "grpo.off_policy_correction"},
    PeerName{"use_tis", "grpo.off_policy_correction", "\"truncated\""},
    PeerName{"vllm_importance_sampling_correction", "grpo.off_policy_correction"},
    PeerName{"behav_imp_weight_cap", "grpo.importance_cap"},
    PeerName{"tis_imp_ratio_cap", "grpo.importance_cap"},
    PeerName{"rollout_is_threshold", "grpo.importance_cap"},
    PeerName{"tis_clip", "grpo.importance_cap"},
    PeerName{"vllm_importance_sampling_cap", "grpo.importance_cap"},
    PeerName{"beta", "grpo.kl_coef"},
    PeerName{"kl_loss_coef", "grpo.kl_coef"},
    PeerName{"init_coef", "grpo.kl_coef"},
    PeerName{"init_kl_coef", "grpo.kl_coef"},
    PeerName{"kl_ctl", "grpo.kl_coef"},
    PeerName{"kl_tau", "grpo.kl_coef"},
    PeerName{"reference_policy_kl_penalty", "grpo.kl_coef"},
    PeerName{"kl_loss_type", "grpo.kl_estimator", "low_var_kl is \"k3\""},
    PeerName{"kl_estimator_type", "grpo.kl_estimator"},
    PeerName{"eps_clip", "grpo.clip_low and grpo.clip_high", kBothClips},
    PeerName{"clip_ratio", "grpo.clip_low and grpo.clip_high", kBothClips},
    PeerName{"cliprange", "grpo.clip_low and grpo.clip_high", kBothClips},
    PeerName{"pg_clip", "grpo.clip_low and grpo.clip_high", kBothClips},
    PeerName{"epsilon", "grpo.clip_low and grpo.clip_high", kBothClips},
    PeerName{"eps_clip_low_high", "grpo.clip_low and grpo.clip_high", kBothClips},
    PeerName{"eps_clip_low", "grpo.clip_low"},
    PeerName{"clip_ratio_low", "grpo.clip_low"},
    PeerName{"epsilon_low", "grpo.clip_low"},
    PeerName{"ratio_clip_min", "grpo.clip_low"},
    PeerName{"eps_clip_high", "grpo.clip_high"},
    PeerName{"clip_ratio_high", "grpo.clip_high"},
    PeerName{"epsilon_high", "grpo.clip_high"},
    PeerName{"ratio_clip_max", "grpo.clip_high"},
    PeerName{"max_response_length", "rollout.max_response_tokens"},
    PeerName{"max_new_tokens", "rollout.max_response_tokens"},
    PeerName{"max_tokens", "rollout.max_response_tokens"},
    PeerName{"max_completion_length", "rollout.max_response_tokens"},
    PeerName{"max_completion_tokens", "rollout.max_response_tokens"},
    PeerName{"rollout_max_response_len", "rollout.max_response_tokens"},
    PeerName{"max_generate_length", "rollout.max_response_tokens"},
    PeerName{"generate_max_len", "rollout.max_response_tokens"},
    PeerName{"response_length", "rollout.max_response_tokens"},
    PeerName{"max_res_tokens", "rollout.max_response_tokens"},
    PeerName{"total_generation_steps", "rollout.max_response_tokens"},
    PeerName{"max_prompt_length", "data.max_prompt_tokens"},
    PeerName{"prompt_max_len", "data.max_prompt_tokens"},
    PeerName{"lr", "grpo.learning_rate or sft.learning_rate"},
    PeerName{"optimizer.learning_rate", "grpo.learning_rate or sft.learning_rate"},
    PeerName{"actor_learning_rate", "grpo.learning_rate"},
    PeerName{"lr_scheduler_type", "sft.learning_rate_schedule"},
    PeerName{"max_grad_norm", "optimizer.gradient_clip"},
    PeerName{"grad_clip", "optimizer.gradient_clip"},
    PeerName{"clip_grad", "optimizer.gradient_clip"},
    PeerName{"adam_betas", "optimizer.betas"},
    PeerName{"adam_beta1", "optimizer.betas"},
    PeerName{"adam_beta2", "optimizer.betas"},
    PeerName{"adam_epsilon", "optimizer.epsilon"},
    PeerName{"adam_eps", "optimizer.epsilon"},
    PeerName{"lr_warmup_steps", "optimizer.warmup_steps"},
    PeerName{"num_warmup_steps", "optimizer.warmup_steps"},
    PeerName{"loss_agg_mode", "grpo.loss_aggregation"},
    PeerName{"loss_type", "grpo.loss_aggregation"},
    PeerName{"adv_estimator", "grpo.advantage"},
    PeerName{"advantage_estimator", "grpo.advantage"},
    PeerName{"scale_rewards", "grpo.advantage", "\"group_centred\" does not divide"},
    PeerName{"ref_model_sync_steps", "grpo.reference_refresh_steps"},
    PeerName{"max_steps", "grpo.steps", kStepsNotEpochs},
    PeerName{"total_training_steps", "grpo.steps", kStepsNotEpochs},
    PeerName{"total_epochs", "grpo.steps", kStepsNotEpochs},
    PeerName{"num_train_epochs", "grpo.steps", kStepsNotEpochs},
    PeerName{"test_freq", "eval.every_steps"},
    PeerName{"eval_steps", "eval.every_steps"},
    PeerName{"eval_interval", "eval.every_steps"},
    PeerName{"save_freq", "schedule.checkpoint_every_steps"},
    PeerName{"save_steps", "schedule.checkpoint_every_steps"},
    PeerName{"save_interval", "schedule.checkpoint_every_steps"},
    PeerName{"save_total_limit", "schedule.checkpoints_kept"},
    PeerName{"max_ckpt_to_keep", "schedule.checkpoints_kept"},
    PeerName{"gpu_memory_utilization", "rollout.cache_mb", "it is a size, not a share"},
    PeerName{"mem_fraction_static", "rollout.cache_mb", "it is a size, not a share"},
    PeerName{"ppo_max_token_len_per_gpu", "learner.microbatch_tokens"},
    PeerName{"max_tokens_per_gpu", "learner.microbatch_tokens"},
    PeerName{"ppo_micro_batch_size_per_gpu", "learner.microbatch_tokens", "it counts tokens"},
    PeerName{"per_device_train_batch_size", "learner.microbatch_tokens", "it counts tokens"},
    PeerName{"max_head_offpolicyness", "schedule.staleness_max_steps"},
    PeerName{"max_staleness_steps", "schedule.staleness_max_steps"},
    PeerName{"train_files", "data.train"},
    PeerName{"prompt_data", "data.train"},
    PeerName{"val_files", "data.held_out"},
    PeerName{"eval_prompt_data", "data.held_out"},
    PeerName{"model_path", "policy.model"},
    PeerName{"model_name_or_path", "policy.model"},
    PeerName{"hf_checkpoint", "policy.model"},
    PeerName{"pretrain", "policy.model"},
    PeerName{"chat_template", "data.template"},
};
// clang-format on

std::string_view last_word(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

// Edits that turn `a` into `b`, a swap of neighbours counting as one.
size_t edit_distance(std::string_view a, std::string_view b) {
  constexpr size_t kNameBytesMax = 128;  // `a` comes from a user.
  a = a.substr(0, kNameBytesMax);
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

const PeerName* find_peer_name(std::string_view path) {
  std::string normal(path);
  std::replace(normal.begin(), normal.end(), '-', '_');
  for (std::string_view end = normal; !end.empty();) {
    for (const PeerName& peer : kPeerNames) {
      if (peer.theirs == end) return &peer;
    }
    const size_t dot = end.find('.');
    end = dot == std::string_view::npos ? std::string_view() : end.substr(dot + 1);
  }
  return nullptr;
}

}  // namespace

std::string_view Key::table() const {
  const size_t dot = path.find('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

std::string_view Key::name() const {
  const size_t dot = path.find('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::span<const Key> job_keys() { return kKeys; }

std::vector<std::string_view> job_tables() {
  std::vector<std::string_view> tables;
  for (const Key& key : kKeys) {
    if (key.table().empty() || (!tables.empty() && tables.back() == key.table())) continue;
    if (key.table() == "schedule") tables.push_back("rewards");
    tables.push_back(key.table());
  }
  return tables;
}

const Key* find_job_key(std::string_view path) {
  for (const Key& key : kKeys) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

std::string advice_for_unknown_key(std::string_view path) {
  // One letter off in the right table is a slip, also where a peer has a key of that name.
  for (const Key& key : kKeys) {
    if (edit_distance(path, key.path) == 1) return fmt::format("did you mean {}?", key.path);
  }
  if (const PeerName* peer = find_peer_name(path)) {
    return fmt::format("here it is {}{}{}", peer->ours, peer->note.empty() ? "" : ": ", peer->note);
  }
  std::string elsewhere;
  for (const Key& key : kKeys) {
    if (key.name() != last_word(path)) continue;
    elsewhere += fmt::format("{}{}", elsewhere.empty() ? "" : " or ", key.path);
  }
  if (!elsewhere.empty()) return fmt::format("did you mean {}?", elsewhere);

  const Key* nearest = nullptr;
  size_t nearest_edits = 0;
  for (const Key& key : kKeys) {
    // A right word in a wrong table is nearer than its spelling says.
    const size_t edits =
        std::min(edit_distance(path, key.path), edit_distance(last_word(path), key.name()) + 1);
    if (nearest == nullptr || edits < nearest_edits) {
      nearest = &key;
      nearest_edits = edits;
    }
  }
  const size_t allowed = std::max<size_t>(2, last_word(path).size() / 3);
  if (nearest_edits <= allowed) return fmt::format("did you mean {}?", nearest->path);
  return {};
}

}  // namespace troupe::cluster

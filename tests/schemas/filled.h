// One value of every message, in one file like their list, with each field set to something of its
// own, so that a field that a codec forgets, or confuses with another of its message, is noticed;
// and equality of messages.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "schemas/control.h"
#include "schemas/envelope.h"
#include "schemas/records.h"
#include "schemas/work.h"

namespace troupe {

inline Envelope filled_envelope() {
  return {.job = 1,
          .epoch = 2,
          .request_id = 3,
          .deadline_ms = -4,
          .schema = 0x8000000000000005,
          .payload = {std::byte{6}, std::byte{0}, std::byte{7}}};
}
inline Error filled_error() { return {ErrorCode::kOverloaded, "message"}; }
inline GroupId filled_group_id() { return {Round{1}, 2}; }
inline Verdict filled_verdict() {
  return {{{.name = "accuracy",
            .kind = VerdictKind::kUndecided,
            .value = 0.25f,
            .weight = 2,
            .reason = "out of fuel"},
           {.name = "format",
            .kind = VerdictKind::kWellFormed,
            .value = 1,
            .weight = 0.5f,
            .reason = ""}}};
}
inline Trajectory filled_trajectory(GroupId group, uint32_t sample) {
  return {
      .id = {.group = group, .sample = sample},
      .prompt_index = 1234,
      .tokens = {10, 11, 20, 21},
      .loss_mask = {0, 0, 1, 1},
      .rollout_logprobs = {0, 0, -0.5f, -1.25f},
      .segments = {{SegmentRole::kPrompt, 0, 2}, {SegmentRole::kPolicy, 2, 4}},
      .versions = {{PolicyVersion{40}, 2, 3}, {PolicyVersion{41}, 3, 4}},
      .finish_reason = FinishReason::kLength,
      .verdict = filled_verdict(),
  };
}
inline GroupRecord filled_group_record() {
  return {{filled_trajectory(filled_group_id(), 0), filled_trajectory(filled_group_id(), 1)}};
}

inline PolicySpec filled_policy_spec() {
  return {
      .config = "config",
      .model = "model",
      .attention_form = "attention_form",
  };
}

inline DataSpec filled_data_spec() {
  return {
      .train = "train",
      .cold_start = {"cold_start 1", "", "cold_start 3"},
      .held_out = "held_out",
      .template_name = "template_name",
      .shuffle = true,
      .max_prompt_tokens = 6,
      .prompt_column = "problem",
      .answer_column = "label",
  };
}

inline SftSpec filled_sft_spec() {
  return {
      .steps = 1,
      .batch_tokens = 2,
      .learning_rate = 3.25,
      .learning_rate_schedule = "learning_rate_schedule",
      .learning_rate_final_fraction = 5.25,
      .part_shares = {0.25, 6.75},
      .gate_pass_at_1 = 7.25,
      .balance_bias_rate = 8.25,
  };
}

inline GrpoSpec filled_grpo_spec() {
  return {
      .steps = 1,
      .prompts_per_round = 2,
      .group_size = 3,
      .minibatches_per_round = 4,
      .learning_rate = 5.25,
      .clip_low = 6.25,
      .clip_high = 7.25,
      .kl_coef = 8.25,
      .kl_estimator = "kl_estimator",
      .reference_refresh_steps = 10,
      .advantage = "advantage",
      .loss_aggregation = "loss_aggregation",
      .zero_variance_groups = "zero_variance_groups",
      .replacement_rounds_max = 14,
      .off_policy_correction = "off_policy_correction",
      .importance_cap = 16.25,
  };
}

inline OptimizerSpec filled_optimizer_spec() {
  return {
      .beta1 = 1.25,
      .beta2 = 2.25,
      .epsilon = 3.25,
      .weight_decay = 4.25,
      .gradient_clip = 5.25,
      .warmup_steps = 6,
      .non_finite_steps_max = 7,
  };
}

inline RolloutSpec filled_rollout_spec() {
  return {
      .temperature = 1.25,
      .top_p = 2.25,
      .max_response_tokens = 3,
      .cache_mb = 4,
      .rescore_every_rounds = 5,
      .segment_tokens = 6,
  };
}

inline LearnerSpec filled_learner_spec() {
  return {
      .microbatch_tokens = 1,
      .gradient_lanes = 2,
      .lane_width = 16,
      .recompute_activations = true,
      .expert_parallel = 3,
      .balance_bias_rate = 4.25,
  };
}

inline RewardSpec filled_reward_spec() {
  return {
      .name = "name",
      .verifier = "verifier",
      .weight = 3.25,
      .settings = {{"a", true},
                   {"b", 2.5},
                   {"c", std::string("text")},
                   {"d", std::vector<std::string>{"texts 1", ""}}},
      .files = {{"name", std::string("content\0", 8)}, RewardFile{}},
  };
}

inline ScheduleSpec filled_schedule_spec() {
  return {
      .mode = "mode",
      .lag = 2,
      .staleness_max_steps = 3,
      .checkpoint_every_steps = 4,
      .checkpoints_kept = 5,
      .checkpoint_copies = 1,
      .keep_best = true,
      .keep_groups = true,
  };
}

inline EvalSpec filled_eval_spec() {
  return {
      .every_steps = 1,
      .problems = 2,
      .temperature = 3.25,
  };
}

inline ResourcesSpec filled_resources_spec() {
  return {
      .placement = "placement",
      .rollout = 2,
      .rollout_max = 8,
      .learner = 3,
      .verifier = 4,
      .threads_per_worker = 5,
      .device = "device",
      .reconnect_seconds = 7,
      .traces_kept_mib = 9,
  };
}

inline PricesSpec filled_prices_spec() {
  return {
      .cpu_core_hour = 1.25,
      .gpu_hour = 2.25,
  };
}

inline JobSpec filled_job_spec() {
  return {
      .name = "name",
      .seed = 2,
      .priority = -3,
      .policy = filled_policy_spec(),
      .data = filled_data_spec(),
      .sft = filled_sft_spec(),
      .grpo = filled_grpo_spec(),
      .optimizer = filled_optimizer_spec(),
      .rollout = filled_rollout_spec(),
      .learner = filled_learner_spec(),
      .rewards = {filled_reward_spec(), RewardSpec{}},
      .schedule = filled_schedule_spec(),
      .eval = filled_eval_spec(),
      .resources = filled_resources_spec(),
      .prices = filled_prices_spec(),
  };
}

inline StepMetrics filled_step_metrics() {
  return {
      .stage = Stage::kGrpo,
      .version = PolicyVersion{2},
      .stage_step = 3,
      .stage_steps = 4,
      .loss = 5.25,
      .grad_norm = 6.25,
      .learning_rate = 7.25,
      .was_skipped = true,
      .was_finite = false,
      .tokens_learned = 10,
      .expert_load_max_violation = 11.25,
      .round = Round{12},
      .reward_mean = 13.25,
      .reward_std = 14.25,
      .accuracy = 15.25,
      .format_share = 16.25,
      .thinking_share = 17.25,
      .response_length_mean = 18.25,
      .response_length_clipped = 19.25,
      .frac_reward_zero_std = 20.25,
      .reward_values = {{"accuracy", 0.25}, {"format", 0.75}},
      .verdicts = {{"accuracy/equal", 3}, {"format/malformed", 4}},
      .entropy = 21.25,
      .kl = 22.25,
      .ppo_kl = 23.25,
      .clip_fraction = 24.25,
      .ratio_max = 25.25,
      .advantage_abs_mean = 26.25,
      .staleness_steps_mean = 31.25,
      .staleness_steps_max = 32,
      .staleness_steps_by_length = {{"0-63", 33.25}, {"64-127", 34.25}},
      .log_ratio_abs_by_length = {{"0-63", 35.25}},
      .importance_weight_mean = 36.25,
      .importance_weight_max = 37.25,
      .importance_truncated_share = 38.25,
      .generate_seconds = 27.25,
      .verify_seconds = 28.25,
      .learn_seconds = 29.25,
      .tokens_generated = 30,
  };
}

inline EvalMetrics filled_eval_metrics() {
  return {
      .version = PolicyVersion{1},
      .temperature = 2.25,
      .problems = 3,
      .solved = 4,
      .response_length_mean = 5.25,
      .thinking_share = 6.25,
      .seconds = 7.25,
      .tokens_generated = 8,
  };
}

inline Trace filled_trace() {
  return {
      .prompt = "prompt",
      .response = "response",
      .gold = "gold",
      .is_solved = true,
  };
}

inline Ledger filled_ledger() {
  return {
      .tokens_generated = 1,
      .tokens_regenerated = 2,
      .tokens_learned = 3,
      .trajectories_generated = 4,
      .trajectories_regenerated = 5,
      .trajectories_learned = 6,
      .trajectories_dropped = {{"a", 7}, {"b", 8}},
      .verdicts = {{"a", 8}, {"b", 9}},
      .steps_redone = 9,
      .workers_lost = 10,
      .rollout_seconds = 11.25,
      .verifier_seconds = 12.25,
      .learner_seconds = 13.25,
      .wasted_seconds = 14.25,
      .money = 15.25,
      .tokens_kept = 16,
  };
}

inline WorkerStatus filled_worker_status() {
  return {
      .slot = 1,
      .roles = "roles",
      .activity = "activity",
      .pid = 4,
      .epoch = 5,
      .is_ready = true,
      .rank = 7,
      .num_ranks = 8,
      .team_bytes = 9,
      .tokens_generated = 10,
  };
}

inline RunSample filled_run_sample() {
  return {
      .workers = {filled_worker_status(), WorkerStatus{}},
      .groups_waiting = 2,
      .groups_generating = 3,
      .groups_judging = 4,
      .groups_committing = 5,
      .steps_learning = 6,
      .rollout_busy_share = 7.25,
      .verifier_busy_share = 8.25,
      .learner_busy_share = 9.25,
      .verdicts_per_second = 10.25,
      .ledger = filled_ledger(),
  };
}

inline JobRecord filled_job_record() {
  return {
      .id = 1,
      .request_id = "request_id",
      .spec = filled_job_spec(),
      .specification_hash = "specification_hash",
      .data_sha256 = "data_sha256",
      .arithmetic_id = "arithmetic_id",
      .home = "home",
      .state = JobState::kPaused,
      .message = "message",
      .steps_done = 10,
      .weights_sha256 = "weights_sha256",
      .checkpoint = "checkpoint",
      .owner = "owner",
      .nodes = {"a", "", "b"},
      .is_confined = true,
  };
}

inline RoundRecord filled_round_record() {
  return {
      .round = Round{1},
      .version = PolicyVersion{2},
  };
}

inline DropRecord filled_drop_record() {
  return {
      .id = filled_group_id(),
      .reason = "reason",
      .trajectories = 3,
  };
}

inline ResponseSegment filled_response_segment() {
  return {
      .id = {.group = filled_group_id(), .sample = 2},
      .begin = 3,
      .tokens = {4, 0, 5},
      .logprobs = {-1.5f, 0.0f, -2.5f},
  };
}

inline SegmentsRecord filled_segments_record() {
  return {.segments = {filled_response_segment(), ResponseSegment{}}};
}

inline AttemptRecord filled_attempt_record() {
  return {
      .id = filled_group_id(),
      .faults = 2,
      .kills = 3,
  };
}

inline StepRecord filled_step_record() {
  return {
      .metrics = filled_step_metrics(),
      .consumed = {{Round{2}, 1}, {Round{2}, 2}},
  };
}

inline EvaluationRecord filled_evaluation_record() {
  return {
      .is_gate = true,
      .metrics = filled_eval_metrics(),
      .traces = {filled_trace(), Trace{}},
  };
}

inline PointRecord filled_point_record() {
  return {
      .version = PolicyVersion{1},
      .folder = "folder",
      .manifest_sha256 = "manifest_sha256",
      .weights_sha256 = "weights_sha256",
      .policies = {{PolicyVersion{2}, "first"}, {PolicyVersion{3}, "second"}},
  };
}

inline Hello filled_hello() {
  return {
      .slot = 1,
      .token = "token",
      .pid = 3,
      .arithmetic_id = "arithmetic_id",
      .instruction_set = "instruction_set",
      .cores = 6,
      .holds = {{{Round{9}, 10}, GroupPurpose::kEvaluate}, {{Round{11}, 12}}},
  };
}

inline WorkerReady filled_worker_ready() {
  return {
      .version = PolicyVersion{1},
      .weights_sha256 = "weights_sha256",
      .num_parameters = 3,
  };
}

inline Heartbeat filled_heartbeat() {
  return {
      .beat = 1,
      .request_id = 2,
      .sequences_done = 3,
      .sequences_total = 4,
      .waits_for = "waits_for",
      .operation = "operation",
      .waits_for_rank = 7,
      .team_bytes = 9,
  };
}

inline SampledResponse filled_sampled_response() {
  return {
      .tokens = {1, 2, 3},
      .logprobs = {-2.5f, -2, -3},
      .finish_reason = FinishReason::kLength,
      .versions = {{PolicyVersion{1}, 0, 1}, {PolicyVersion{2}, 1, 3}},
  };
}

inline GeneratedGroup filled_generated_group() {
  return {
      .id = filled_group_id(),
      .purpose = GroupPurpose::kEvaluate,
      .version = PolicyVersion{3},
      .responses = {filled_sampled_response(), SampledResponse{}},
  };
}

inline GroupsGenerated filled_groups_generated() {
  return {
      .groups = {filled_generated_group(), GeneratedGroup{}},
      .segments = {filled_response_segment(), ResponseSegment{}},
      .is_last = true,
      .core_seconds = 3.25,
  };
}

inline JudgedGroup filled_judged_group() {
  return {
      .id = filled_group_id(),
      .purpose = GroupPurpose::kEvaluate,
      .verdicts = {filled_verdict(), Verdict{}},
  };
}

inline GroupsJudged filled_groups_judged() {
  return {
      .groups = {filled_judged_group(), JudgedGroup{}},
      .core_seconds = 2.25,
  };
}

inline StepLearned filled_step_learned() {
  return {
      .metrics = filled_step_metrics(),
      .core_seconds = 2.25,
      .digest = "digest",
  };
}

inline PolicyPublished filled_policy_published() {
  return {
      .version = PolicyVersion{1},
      .path = "path",
      .weights_sha256 = "weights_sha256",
  };
}

inline PolicyLoaded filled_policy_loaded() {
  return {
      .version = PolicyVersion{1},
      .weights_sha256 = "weights_sha256",
  };
}

inline PointWritten filled_point_written() {
  return {
      .version = PolicyVersion{1},
      .weights_sha256 = "weights_sha256",
      .policies = {{PolicyVersion{3}, "first"}, {}},
      .files = {{"name", "sha256"}, {}},
      .core_seconds = 5.25,
  };
}

inline RankSeated filled_rank_seated() { return {.endpoint = "endpoint"}; }

inline JoinTeam filled_join_team() { return {.endpoints = {"first", "", "third"}}; }

inline WorkFailed filled_work_failed() {
  return {
      .error = filled_error(),
  };
}

inline Lease filled_lease() {
  return {
      .slot = 1,
      .roles = {.rollout = true, .learner = false, .verifier = true},
      .rollout_threads = 3,
      .learner_threads = 4,
      .verifier_threads = 5,
      .job = filled_job_spec(),
      .context_max = 6,
      .point_path = "point_path",
      .point = filled_point_record(),
      .trusted_programs = {{"name", "path"}, {}},
      .seat = {.rank = 1,
               .epoch = 2,
               .address = "address",
               .public_keys = {"first", "second"},
               .secret_key = "secret_key",
               .token = "token"},
  };
}

inline PromptGroup filled_prompt_group() {
  return {
      .id = filled_group_id(),
      .purpose = GroupPurpose::kEvaluate,
      .prompt = {3, 2, 3},
      .num_samples = 4,
      .begun = {filled_response_segment()},
  };
}

inline GenerateGroups filled_generate_groups() {
  return {
      .version = PolicyVersion{1},
      .temperature = 2.5f,
      .top_p = 3.5f,
      .max_response_tokens = 4,
      .stop_tokens = {5, 6},
      .segment_tokens = 7,
      .groups = {filled_prompt_group(), PromptGroup{}},
  };
}

inline GroupToJudge filled_group_to_judge() {
  return {
      .id = filled_group_id(),
      .purpose = GroupPurpose::kEvaluate,
      .prompt = "prompt",
      .gold = "gold",
      .responses = {{"responses 1", 7, true}, {}, {"responses 3", 9, false}},
  };
}

inline JudgeGroups filled_judge_groups() {
  return {
      .groups = {filled_group_to_judge(), GroupToJudge{}},
  };
}

inline SequenceFacts filled_sequence_facts() {
  return {.num_tokens = 9, .num_learned = 2, .staleness_mean = 3.5, .staleness_max = 4};
}

inline SequenceToLearn filled_sequence_to_learn() {
  return {
      .index = 1,
      .tokens = {1, 2, 3},
      .loss_mask = {0, 1, 1},
      .token_weight = 4.5,
      .id = {filled_group_id(), 6},
      .rollout_logprobs = {-1.5f, -2, -3},
      .advantage = 7.5,
      .is_rescored = true,
  };
}

inline LearnShare filled_learn_share() {
  return {
      .version = PolicyVersion{1},
      .stage = Stage::kGrpo,
      .learning_rate = 3.25,
      .balance_bias_rate = 4.25,
      .begins_stage = true,
      .refreshes_reference = true,
      .begins_round = true,
      .advantage_abs_mean = 8.25,
      .sequences = {filled_sequence_facts(), SequenceFacts{}},
      .own = {filled_sequence_to_learn(), SequenceToLearn{}},
      .later = {SequenceToLearn{}, filled_sequence_to_learn()},
  };
}

inline PublishPolicy filled_publish_policy() {
  return {
      .version = PolicyVersion{1},
      .path = "path",
  };
}

inline LoadPolicy filled_load_policy() {
  return {
      .version = PolicyVersion{1},
      .path = "path",
      .weights_sha256 = "weights_sha256",
  };
}

inline SavePoint filled_save_point() {
  return {
      .version = PolicyVersion{1},
      .folder = "folder",
      .policies = {{PolicyVersion{2}, "first"}, {PolicyVersion{3}, "second"}},
  };
}

inline SubmitJob filled_submit_job() {
  return {
      .request_id = "request_id",
      .job = filled_job_spec(),
  };
}

inline ListJobs filled_list_jobs() {
  return {
      .first_id = 1,
  };
}

inline ShowJob filled_show_job() {
  return {
      .id = 1,
  };
}

inline JobLogs filled_job_logs() {
  return {
      .id = 1,
      .first_line = 2,
  };
}

inline WatchJob filled_watch_job() {
  return {
      .id = 1,
      .first_sequence = 2,
  };
}

inline CancelJob filled_cancel_job() {
  return {
      .id = 1,
  };
}

inline PauseJob filled_pause_job() {
  return {
      .id = 1,
  };
}

inline ResumeJob filled_resume_job() {
  return {
      .id = 1,
  };
}

inline FollowJob filled_follow_job() {
  return {
      .id = 1,
  };
}

inline ServerFacts filled_server_facts() {
  return {
      .protocol = 1,
      .name = "name",
      .is_operator = true,
  };
}

inline JobSummary filled_job_summary() {
  return {
      .id = 1,
      .name = "name",
      .state = JobState::kPaused,
      .message = "message",
      .steps_done = 5,
      .steps_total = 6,
      .home = "home",
      .weights_sha256 = "weights_sha256",
      .money = 9.25,
      .owner = "owner",
  };
}

inline HostSummary filled_host_summary() {
  return {
      .name = "name",
      .state = "away",
      .away_seconds = 2.5,
      .slots = 3,
      .used = 4,
      .lent = 5,
      .is_elastic = true,
      .tenants = {{.job = 6, .learner = 7, .rollout = 8, .lent = 9, .verifier = 10}, {}},
      .disk_free_bytes = 11,
  };
}

inline ContentFile filled_content_file() {
  return {.sha256 = "sha256", .name = "name", .bytes = 3};
}

inline OfferContent filled_offer_content() { return {.files = {filled_content_file(), {}}}; }

inline SendContent filled_send_content() {
  return {.file = filled_content_file(), .offset = 2, .bytes = {std::byte{3}, std::byte{4}}};
}

inline HostFacts filled_host_facts() {
  return {.slots = 1,
          .cores = 2,
          .cores_of_part = {3, 4},
          .memory_bytes = 5,
          .disk_bytes = 6,
          .disk_free_bytes = 7,
          .devices = {"device 8"}};
}

inline HostReading filled_host_reading() {
  return {.clock_ns = -1,
          .home = "home",
          .disk_free_bytes = 2,
          .memory_free_bytes = 3,
          .shm_bytes = 4,
          .shm_free_bytes = 5,
          .flops_per_core = 6.5};
}

inline HostReport filled_host_report() {
  return {.summary = filled_host_summary(),
          .address = "address",
          .build = "build",
          .arithmetic_id = "arithmetic",
          .instruction_set = "set",
          .facts = filled_host_facts(),
          .reading = filled_host_reading(),
          .clock_ahead_seconds = -1.5,
          .clock_uncertainty_seconds = 2.5,
          .round_trip_seconds = 3.5,
          .bytes_per_second_there = 4.5,
          .bytes_per_second_back = 5.5,
          .failure = "failure"};
}

inline ControlReply filled_control_reply() {
  return {
      .error = filled_error(),
      .jobs = {filled_job_summary(), JobSummary{}},
      .lines = {"lines 1", "", "lines 3"},
      .events = {{std::byte{4}}, {}, std::vector<std::byte>(9, std::byte{7})},
      .next = 5,
      .server = filled_server_facts(),
      .hosts = {filled_host_summary(), HostSummary{}},
      .lacking = {"lacking 1", ""},
      .report = filled_host_report(),
  };
}

inline RunStarted filled_run_started() {
  return {
      .job = filled_job_spec(),
      .weights_sha256 = "weights_sha256",
      .num_parameters = 3,
  };
}

inline Progressed filled_progressed() {
  return {
      .activity = "activity",
      .done = 2,
      .total = 3,
  };
}

inline Evaluated filled_evaluated() {
  return {
      .metrics = filled_eval_metrics(),
      .traces = {filled_trace(), Trace{}},
  };
}

inline Noted filled_noted() {
  return {
      .line = "line",
  };
}

inline RunEnded filled_run_ended() {
  return {
      .ledger = filled_ledger(),
      .state = "state",
      .weights_sha256 = "weights_sha256",
  };
}

// Equality. Numbers that are not finite are no part of these.

inline bool same(const Envelope& a, const Envelope& b) {
  return a.protocol == b.protocol && a.job == b.job && a.epoch == b.epoch &&
         a.request_id == b.request_id && a.deadline_ms == b.deadline_ms && a.schema == b.schema &&
         a.payload == b.payload;
}
inline bool same(const Error& a, const Error& b) {
  return a.code == b.code && a.message == b.message;
}
inline bool same(const VerdictPart& a, const VerdictPart& b) {
  return a.name == b.name && a.kind == b.kind && a.value == b.value && a.weight == b.weight &&
         a.reason == b.reason;
}

template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

// Declared ahead of the messages whose parts they compare.
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b);

inline bool same(const Verdict& a, const Verdict& b) { return same(a.parts, b.parts); }

inline bool same(const Trajectory& a, const Trajectory& b) {
  return a.id == b.id && a.prompt_index == b.prompt_index && a.tokens == b.tokens &&
         a.loss_mask == b.loss_mask && a.rollout_logprobs == b.rollout_logprobs &&
         a.segments == b.segments && a.versions == b.versions &&
         a.finish_reason == b.finish_reason && same(a.verdict, b.verdict);
}

inline bool same(const GroupRecord& a, const GroupRecord& b) {
  return same(a.trajectories, b.trajectories);
}

inline bool same(const PolicySpec& a, const PolicySpec& b) {
  return a.config == b.config && a.model == b.model && a.attention_form == b.attention_form;
}

inline bool same(const DataSpec& a, const DataSpec& b) {
  return a.train == b.train && a.cold_start == b.cold_start && a.held_out == b.held_out &&
         a.template_name == b.template_name && a.shuffle == b.shuffle &&
         a.max_prompt_tokens == b.max_prompt_tokens && a.prompt_column == b.prompt_column &&
         a.answer_column == b.answer_column;
}

inline bool same(const SftSpec& a, const SftSpec& b) {
  return a.steps == b.steps && a.batch_tokens == b.batch_tokens &&
         a.learning_rate == b.learning_rate &&
         a.learning_rate_schedule == b.learning_rate_schedule &&
         a.learning_rate_final_fraction == b.learning_rate_final_fraction &&
         a.part_shares == b.part_shares && a.gate_pass_at_1 == b.gate_pass_at_1 &&
         a.balance_bias_rate == b.balance_bias_rate;
}

inline bool same(const GrpoSpec& a, const GrpoSpec& b) {
  return a.steps == b.steps && a.prompts_per_round == b.prompts_per_round &&
         a.group_size == b.group_size && a.minibatches_per_round == b.minibatches_per_round &&
         a.learning_rate == b.learning_rate && a.clip_low == b.clip_low &&
         a.clip_high == b.clip_high && a.kl_coef == b.kl_coef && a.kl_estimator == b.kl_estimator &&
         a.reference_refresh_steps == b.reference_refresh_steps && a.advantage == b.advantage &&
         a.loss_aggregation == b.loss_aggregation &&
         a.zero_variance_groups == b.zero_variance_groups &&
         a.replacement_rounds_max == b.replacement_rounds_max &&
         a.off_policy_correction == b.off_policy_correction && a.importance_cap == b.importance_cap;
}

inline bool same(const OptimizerSpec& a, const OptimizerSpec& b) {
  return a.beta1 == b.beta1 && a.beta2 == b.beta2 && a.epsilon == b.epsilon &&
         a.weight_decay == b.weight_decay && a.gradient_clip == b.gradient_clip &&
         a.warmup_steps == b.warmup_steps && a.non_finite_steps_max == b.non_finite_steps_max;
}

inline bool same(const RolloutSpec& a, const RolloutSpec& b) {
  return a.temperature == b.temperature && a.top_p == b.top_p &&
         a.max_response_tokens == b.max_response_tokens && a.cache_mb == b.cache_mb &&
         a.rescore_every_rounds == b.rescore_every_rounds && a.segment_tokens == b.segment_tokens;
}

inline bool same(const LearnerSpec& a, const LearnerSpec& b) {
  return a.microbatch_tokens == b.microbatch_tokens && a.gradient_lanes == b.gradient_lanes &&
         a.lane_width == b.lane_width && a.recompute_activations == b.recompute_activations &&
         a.expert_parallel == b.expert_parallel && a.balance_bias_rate == b.balance_bias_rate;
}

inline bool same(const RewardSpec& a, const RewardSpec& b) {
  return a.name == b.name && a.verifier == b.verifier && a.weight == b.weight &&
         a.settings == b.settings && a.files == b.files;
}

inline bool same(const ScheduleSpec& a, const ScheduleSpec& b) {
  return a.mode == b.mode && a.lag == b.lag && a.staleness_max_steps == b.staleness_max_steps &&
         a.checkpoint_every_steps == b.checkpoint_every_steps &&
         a.checkpoints_kept == b.checkpoints_kept && a.checkpoint_copies == b.checkpoint_copies &&
         a.keep_best == b.keep_best && a.keep_groups == b.keep_groups;
}

inline bool same(const EvalSpec& a, const EvalSpec& b) {
  return a.every_steps == b.every_steps && a.problems == b.problems &&
         a.temperature == b.temperature;
}

inline bool same(const ResourcesSpec& a, const ResourcesSpec& b) {
  return a.placement == b.placement && a.rollout == b.rollout && a.learner == b.learner &&
         a.verifier == b.verifier && a.threads_per_worker == b.threads_per_worker &&
         a.reconnect_seconds == b.reconnect_seconds && a.rollout_max == b.rollout_max &&
         a.device == b.device && a.traces_kept_mib == b.traces_kept_mib;
}

inline bool same(const PricesSpec& a, const PricesSpec& b) {
  return a.cpu_core_hour == b.cpu_core_hour && a.gpu_hour == b.gpu_hour;
}

inline bool same(const JobSpec& a, const JobSpec& b) {
  return a.name == b.name && a.seed == b.seed && same(a.policy, b.policy) && same(a.data, b.data) &&
         same(a.sft, b.sft) && same(a.grpo, b.grpo) && same(a.optimizer, b.optimizer) &&
         same(a.rollout, b.rollout) && same(a.learner, b.learner) && same(a.rewards, b.rewards) &&
         same(a.schedule, b.schedule) && same(a.eval, b.eval) && same(a.resources, b.resources) &&
         same(a.prices, b.prices) && a.priority == b.priority;
}

inline bool same(const StepMetrics& a, const StepMetrics& b) {
  return a.stage == b.stage && a.version == b.version && a.stage_step == b.stage_step &&
         a.stage_steps == b.stage_steps && a.loss == b.loss && a.grad_norm == b.grad_norm &&
         a.learning_rate == b.learning_rate && a.was_skipped == b.was_skipped &&
         a.was_finite == b.was_finite && a.tokens_learned == b.tokens_learned &&
         a.expert_load_max_violation == b.expert_load_max_violation && a.round == b.round &&
         a.reward_mean == b.reward_mean && a.reward_std == b.reward_std &&
         a.accuracy == b.accuracy && a.format_share == b.format_share &&
         a.thinking_share == b.thinking_share && a.response_length_mean == b.response_length_mean &&
         a.response_length_clipped == b.response_length_clipped &&
         a.frac_reward_zero_std == b.frac_reward_zero_std && a.reward_values == b.reward_values &&
         a.verdicts == b.verdicts && a.entropy == b.entropy && a.kl == b.kl &&
         a.ppo_kl == b.ppo_kl && a.clip_fraction == b.clip_fraction && a.ratio_max == b.ratio_max &&
         a.advantage_abs_mean == b.advantage_abs_mean && a.generate_seconds == b.generate_seconds &&
         a.verify_seconds == b.verify_seconds && a.learn_seconds == b.learn_seconds &&
         a.tokens_generated == b.tokens_generated &&
         a.staleness_steps_mean == b.staleness_steps_mean &&
         a.staleness_steps_max == b.staleness_steps_max &&
         a.staleness_steps_by_length == b.staleness_steps_by_length &&
         a.log_ratio_abs_by_length == b.log_ratio_abs_by_length &&
         a.importance_weight_mean == b.importance_weight_mean &&
         a.importance_weight_max == b.importance_weight_max &&
         a.importance_truncated_share == b.importance_truncated_share;
}

inline bool same(const EvalMetrics& a, const EvalMetrics& b) {
  return a.version == b.version && a.temperature == b.temperature && a.problems == b.problems &&
         a.solved == b.solved && a.response_length_mean == b.response_length_mean &&
         a.thinking_share == b.thinking_share && a.seconds == b.seconds &&
         a.tokens_generated == b.tokens_generated;
}

inline bool same(const Trace& a, const Trace& b) {
  return a.prompt == b.prompt && a.response == b.response && a.gold == b.gold &&
         a.is_solved == b.is_solved;
}

inline bool same(const Ledger& a, const Ledger& b) {
  return a.tokens_generated == b.tokens_generated && a.tokens_regenerated == b.tokens_regenerated &&
         a.tokens_learned == b.tokens_learned &&
         a.trajectories_generated == b.trajectories_generated &&
         a.trajectories_regenerated == b.trajectories_regenerated &&
         a.trajectories_learned == b.trajectories_learned &&
         a.trajectories_dropped == b.trajectories_dropped && a.verdicts == b.verdicts &&
         a.steps_redone == b.steps_redone && a.workers_lost == b.workers_lost &&
         a.rollout_seconds == b.rollout_seconds && a.verifier_seconds == b.verifier_seconds &&
         a.learner_seconds == b.learner_seconds && a.wasted_seconds == b.wasted_seconds &&
         a.money == b.money && a.tokens_kept == b.tokens_kept;
}

inline bool same(const WorkerStatus& a, const WorkerStatus& b) {
  return a.slot == b.slot && a.roles == b.roles && a.activity == b.activity && a.pid == b.pid &&
         a.epoch == b.epoch && a.is_ready == b.is_ready && a.rank == b.rank &&
         a.num_ranks == b.num_ranks && a.team_bytes == b.team_bytes &&
         a.tokens_generated == b.tokens_generated;
}

inline bool same(const RunSample& a, const RunSample& b) {
  return same(a.workers, b.workers) && a.groups_waiting == b.groups_waiting &&
         a.groups_generating == b.groups_generating && a.groups_judging == b.groups_judging &&
         a.groups_committing == b.groups_committing && a.steps_learning == b.steps_learning &&
         a.rollout_busy_share == b.rollout_busy_share &&
         a.verifier_busy_share == b.verifier_busy_share &&
         a.learner_busy_share == b.learner_busy_share &&
         a.verdicts_per_second == b.verdicts_per_second && same(a.ledger, b.ledger);
}

inline bool same(const JobRecord& a, const JobRecord& b) {
  return a.id == b.id && a.request_id == b.request_id && same(a.spec, b.spec) &&
         a.specification_hash == b.specification_hash && a.data_sha256 == b.data_sha256 &&
         a.arithmetic_id == b.arithmetic_id && a.home == b.home && a.state == b.state &&
         a.message == b.message && a.steps_done == b.steps_done &&
         a.weights_sha256 == b.weights_sha256 && a.checkpoint == b.checkpoint &&
         a.owner == b.owner && a.nodes == b.nodes && a.is_confined == b.is_confined;
}

inline bool same(const RoundRecord& a, const RoundRecord& b) {
  return a.round == b.round && a.version == b.version;
}

inline bool same(const DropRecord& a, const DropRecord& b) {
  return a.id == b.id && a.reason == b.reason && a.trajectories == b.trajectories;
}

inline bool same(const ResponseSegment& a, const ResponseSegment& b) {
  return a.id == b.id && a.begin == b.begin && a.tokens == b.tokens && a.logprobs == b.logprobs;
}

inline bool same(const SegmentsRecord& a, const SegmentsRecord& b) {
  return same(a.segments, b.segments);
}

inline bool same(const AttemptRecord& a, const AttemptRecord& b) {
  return a.id == b.id && a.faults == b.faults && a.kills == b.kills;
}

inline bool same(const StepRecord& a, const StepRecord& b) {
  return same(a.metrics, b.metrics) && a.consumed == b.consumed;
}

inline bool same(const EvaluationRecord& a, const EvaluationRecord& b) {
  return a.is_gate == b.is_gate && same(a.metrics, b.metrics) && same(a.traces, b.traces);
}

inline bool same(const PointRecord& a, const PointRecord& b) {
  return a.version == b.version && a.folder == b.folder && a.manifest_sha256 == b.manifest_sha256 &&
         a.weights_sha256 == b.weights_sha256 && a.policies == b.policies;
}

inline bool same(const Hello& a, const Hello& b) {
  return a.slot == b.slot && a.token == b.token && a.pid == b.pid &&
         a.arithmetic_id == b.arithmetic_id && a.instruction_set == b.instruction_set &&
         a.cores == b.cores && a.holds == b.holds;
}

inline bool same(const WorkerReady& a, const WorkerReady& b) {
  return a.version == b.version && a.weights_sha256 == b.weights_sha256 &&
         a.num_parameters == b.num_parameters;
}

inline bool same(const Heartbeat& a, const Heartbeat& b) {
  return a.beat == b.beat && a.request_id == b.request_id && a.sequences_done == b.sequences_done &&
         a.sequences_total == b.sequences_total && a.waits_for == b.waits_for &&
         a.operation == b.operation && a.waits_for_rank == b.waits_for_rank &&
         a.team_bytes == b.team_bytes;
}

inline bool same(const SampledResponse& a, const SampledResponse& b) {
  return a.tokens == b.tokens && a.logprobs == b.logprobs && a.finish_reason == b.finish_reason &&
         a.versions == b.versions;
}

inline bool same(const GeneratedGroup& a, const GeneratedGroup& b) {
  return a.id == b.id && a.purpose == b.purpose && a.version == b.version &&
         same(a.responses, b.responses);
}

inline bool same(const GroupsGenerated& a, const GroupsGenerated& b) {
  return same(a.groups, b.groups) && same(a.segments, b.segments) && a.is_last == b.is_last &&
         a.core_seconds == b.core_seconds;
}

inline bool same(const JudgedGroup& a, const JudgedGroup& b) {
  return a.id == b.id && a.purpose == b.purpose && same(a.verdicts, b.verdicts);
}

inline bool same(const GroupsJudged& a, const GroupsJudged& b) {
  return same(a.groups, b.groups) && a.core_seconds == b.core_seconds;
}

inline bool same(const StepLearned& a, const StepLearned& b) {
  return same(a.metrics, b.metrics) && a.core_seconds == b.core_seconds && a.digest == b.digest;
}

inline bool same(const PolicyPublished& a, const PolicyPublished& b) {
  return a.version == b.version && a.path == b.path && a.weights_sha256 == b.weights_sha256;
}

inline bool same(const PolicyLoaded& a, const PolicyLoaded& b) {
  return a.version == b.version && a.weights_sha256 == b.weights_sha256;
}

inline bool same(const PointWritten& a, const PointWritten& b) {
  return a.version == b.version && a.weights_sha256 == b.weights_sha256 &&
         a.policies == b.policies && a.files == b.files && a.core_seconds == b.core_seconds;
}

inline bool same(const RankSeated& a, const RankSeated& b) { return a.endpoint == b.endpoint; }

inline bool same(const JoinTeam& a, const JoinTeam& b) { return a.endpoints == b.endpoints; }

inline bool same(const WorkFailed& a, const WorkFailed& b) { return same(a.error, b.error); }

inline bool same(const Lease& a, const Lease& b) {
  return a.slot == b.slot && a.roles == b.roles && a.rollout_threads == b.rollout_threads &&
         a.learner_threads == b.learner_threads && a.verifier_threads == b.verifier_threads &&
         same(a.job, b.job) && a.context_max == b.context_max && a.point_path == b.point_path &&
         same(a.point, b.point) && a.trusted_programs == b.trusted_programs && a.seat == b.seat;
}

inline bool same(const PromptGroup& a, const PromptGroup& b) {
  return a.id == b.id && a.purpose == b.purpose && a.prompt == b.prompt &&
         a.num_samples == b.num_samples && same(a.begun, b.begun);
}

inline bool same(const GenerateGroups& a, const GenerateGroups& b) {
  return a.version == b.version && a.temperature == b.temperature && a.top_p == b.top_p &&
         a.max_response_tokens == b.max_response_tokens && a.stop_tokens == b.stop_tokens &&
         a.segment_tokens == b.segment_tokens && same(a.groups, b.groups);
}

inline bool same(const GroupToJudge& a, const GroupToJudge& b) {
  return a.id == b.id && a.purpose == b.purpose && a.prompt == b.prompt && a.gold == b.gold &&
         a.responses == b.responses;
}

inline bool same(const JudgeGroups& a, const JudgeGroups& b) { return same(a.groups, b.groups); }

inline bool same(const SequenceToLearn& a, const SequenceToLearn& b) {
  return a.index == b.index && a.tokens == b.tokens && a.loss_mask == b.loss_mask &&
         a.token_weight == b.token_weight && a.id == b.id &&
         a.rollout_logprobs == b.rollout_logprobs && a.advantage == b.advantage &&
         a.is_rescored == b.is_rescored;
}

inline bool same(const LearnShare& a, const LearnShare& b) {
  return a.version == b.version && a.stage == b.stage && a.learning_rate == b.learning_rate &&
         a.balance_bias_rate == b.balance_bias_rate && a.begins_stage == b.begins_stage &&
         a.refreshes_reference == b.refreshes_reference && a.begins_round == b.begins_round &&
         a.advantage_abs_mean == b.advantage_abs_mean && a.sequences == b.sequences &&
         same(a.own, b.own) && same(a.later, b.later);
}

inline bool same(const PublishPolicy& a, const PublishPolicy& b) {
  return a.version == b.version && a.path == b.path;
}

inline bool same(const LoadPolicy& a, const LoadPolicy& b) {
  return a.version == b.version && a.path == b.path && a.weights_sha256 == b.weights_sha256;
}

inline bool same(const SavePoint& a, const SavePoint& b) {
  return a.version == b.version && a.folder == b.folder && a.policies == b.policies;
}

inline bool same(const SubmitJob& a, const SubmitJob& b) {
  return a.request_id == b.request_id && same(a.job, b.job);
}

inline bool same(const ListJobs& a, const ListJobs& b) { return a.first_id == b.first_id; }

inline bool same(const ShowJob& a, const ShowJob& b) { return a.id == b.id; }

inline bool same(const JobLogs& a, const JobLogs& b) {
  return a.id == b.id && a.first_line == b.first_line;
}

inline bool same(const WatchJob& a, const WatchJob& b) {
  return a.id == b.id && a.first_sequence == b.first_sequence;
}

inline bool same(const CancelJob& a, const CancelJob& b) { return a.id == b.id; }

inline bool same(const PauseJob& a, const PauseJob& b) { return a.id == b.id; }

inline bool same(const ResumeJob& a, const ResumeJob& b) { return a.id == b.id; }

inline bool same(const JobSummary& a, const JobSummary& b) {
  return a.id == b.id && a.name == b.name && a.state == b.state && a.message == b.message &&
         a.steps_done == b.steps_done && a.steps_total == b.steps_total && a.home == b.home &&
         a.weights_sha256 == b.weights_sha256 && a.money == b.money && a.owner == b.owner;
}

inline bool same(const ShowServer&, const ShowServer&) { return true; }

inline bool same(const FollowJob& a, const FollowJob& b) { return a.id == b.id; }

inline bool same(const WhyJob& a, const WhyJob& b) { return a.id == b.id; }

inline bool same(const ListHosts&, const ListHosts&) { return true; }

inline bool same(const ExamineHost& a, const ExamineHost& b) { return a.host == b.host; }

inline bool same(const DrainHost& a, const DrainHost& b) { return a.host == b.host; }

inline bool same(const UndrainHost& a, const UndrainHost& b) { return a.host == b.host; }

inline bool same(const HostTenant& a, const HostTenant& b) {
  return a.job == b.job && a.learner == b.learner && a.rollout == b.rollout && a.lent == b.lent &&
         a.verifier == b.verifier;
}

inline bool same(const HostSummary& a, const HostSummary& b) {
  return a.name == b.name && a.state == b.state && a.away_seconds == b.away_seconds &&
         a.slots == b.slots && a.used == b.used && a.lent == b.lent &&
         a.is_elastic == b.is_elastic && same(a.tenants, b.tenants) &&
         a.disk_free_bytes == b.disk_free_bytes;
}

inline bool same(const HostReport& a, const HostReport& b) {
  return same(a.summary, b.summary) && a.address == b.address && a.build == b.build &&
         a.arithmetic_id == b.arithmetic_id && a.instruction_set == b.instruction_set &&
         a.facts == b.facts && a.reading == b.reading &&
         a.clock_ahead_seconds == b.clock_ahead_seconds &&
         a.clock_uncertainty_seconds == b.clock_uncertainty_seconds &&
         a.round_trip_seconds == b.round_trip_seconds &&
         a.bytes_per_second_there == b.bytes_per_second_there &&
         a.bytes_per_second_back == b.bytes_per_second_back && a.failure == b.failure;
}

inline bool same(const ServerFacts& a, const ServerFacts& b) {
  return a.protocol == b.protocol && a.name == b.name && a.is_operator == b.is_operator;
}

inline bool same(const ContentFile& a, const ContentFile& b) {
  return a.sha256 == b.sha256 && a.name == b.name && a.bytes == b.bytes;
}

inline bool same(const OfferContent& a, const OfferContent& b) { return same(a.files, b.files); }

inline bool same(const SendContent& a, const SendContent& b) {
  return same(a.file, b.file) && a.offset == b.offset && a.bytes == b.bytes;
}

inline bool same(const ControlReply& a, const ControlReply& b) {
  return same(a.error, b.error) && same(a.jobs, b.jobs) && a.lines == b.lines &&
         a.events == b.events && a.next == b.next && a.server.has_value() == b.server.has_value() &&
         (!a.server || same(*a.server, *b.server)) && same(a.hosts, b.hosts) &&
         a.lacking == b.lacking && a.report.has_value() == b.report.has_value() &&
         (!a.report || same(*a.report, *b.report));
}

inline bool same(const RunStarted& a, const RunStarted& b) {
  return same(a.job, b.job) && a.weights_sha256 == b.weights_sha256 &&
         a.num_parameters == b.num_parameters;
}

inline bool same(const Progressed& a, const Progressed& b) {
  return a.activity == b.activity && a.done == b.done && a.total == b.total;
}

inline bool same(const Evaluated& a, const Evaluated& b) {
  return same(a.metrics, b.metrics) && same(a.traces, b.traces);
}

inline bool same(const Noted& a, const Noted& b) { return a.line == b.line; }

inline bool same(const RunEnded& a, const RunEnded& b) {
  return same(a.ledger, b.ledger) && a.state == b.state && a.weights_sha256 == b.weights_sha256;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!same(a[i], b[i])) return false;
  }
  return true;
}

// Messages without fields.
inline bool same(const CancelGeneration&, const CancelGeneration&) { return true; }
inline bool same(const HeadChanged&, const HeadChanged&) { return true; }

template <class... T>
bool same(const std::variant<T...>& a, const std::variant<T...>& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& value) { return same(value, std::get<std::decay_t<decltype(value)>>(b)); },
      a);
}

inline bool same(const RunEvent& a, const RunEvent& b) {
  return a.job == b.job && a.sequence == b.sequence && a.seconds == b.seconds &&
         same(a.what, b.what);
}

// One of each message.

inline std::vector<ToWorker> filled_to_worker() {
  return {
      filled_lease(),        filled_join_team(),   filled_generate_groups(), CancelGeneration{},
      filled_judge_groups(), filled_learn_share(), filled_publish_policy(),  filled_load_policy(),
      filled_save_point(),   HeadChanged{}};
}

inline std::vector<FromWorker> filled_from_worker() {
  return {filled_hello(),         filled_rank_seated(),      filled_worker_ready(),
          filled_heartbeat(),     filled_groups_generated(), filled_groups_judged(),
          filled_step_learned(),  filled_policy_published(), filled_policy_loaded(),
          filled_point_written(), filled_work_failed()};
}

inline std::vector<ControlRequest> filled_control_requests() {
  return {filled_submit_job(),   filled_list_jobs(),  filled_show_job(),
          filled_job_logs(),     filled_watch_job(),  filled_cancel_job(),
          filled_pause_job(),    filled_resume_job(), ShowServer{},
          filled_follow_job(),   WhyJob{2},           ListHosts{},
          DrainHost{"host"},     UndrainHost{"host"}, filled_offer_content(),
          filled_send_content(), ExamineHost{"host"}};
}

inline std::vector<RunEvent> filled_run_events() {
  std::vector<RunEvent> events(7, {.job = 1, .sequence = 2, .seconds = 3.5});
  events[0].what = filled_run_started();
  events[1].what = filled_progressed();
  events[2].what = filled_step_metrics();
  events[3].what = filled_evaluated();
  events[4].what = filled_run_sample();
  events[5].what = filled_noted();
  events[6].what = filled_run_ended();
  return events;
}

}  // namespace troupe

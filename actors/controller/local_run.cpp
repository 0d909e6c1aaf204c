#include "actors/controller/local_run.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>

#include "actors/controller/job_data.h"
#include "actors/verifier/format_verdict.h"
#include "actors/verifier/reward.h"
#include "kernels/random.h"
#include "model/data/dataset.h"
#include "model/formats/checkpoint.h"
#include "model/generation/generator.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/training/advantage.h"
#include "model/training/learner.h"
#include "model/training/learning_rate.h"
#include "model/transformer/initialise.h"

namespace troupe::actors {

using model::LearnSequence;

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

namespace {

namespace fs = std::filesystem;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Held-out problems that the cold start's gate is measured on. Not [eval]'s: the gate decides the
// history of a job, and [eval] must not.
constexpr int64_t kGateProblems = 500;

// One prompt and its judged responses.
struct Group {
  GroupId id{};
  const PromptTokens* prompt = nullptr;
  std::vector<Trajectory> trajectories{};
  bool has_variance = false;
};

// A round's admitted groups and what there is to say about them.
struct RoundResult {
  std::vector<Group> groups{};  // In ordinal order, replacements last.
  StepMetrics metrics{};        // The fields that belong to the round.
};

int64_t physical_memory_bytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

Error stopped() { return {ErrorCode::kStopped, "stopped by the user"}; }

class LocalRun {
 public:
  LocalRun(const kernels::Backend& backend, const JobSpec& job, const LocalRunOptions& options,
           MetricsSink& sink)
      : backend_(backend),
        job_(job),
        options_(options),
        sink_(sink),
        threads_(job.resources.threads_per_worker > 0
                     ? static_cast<int>(job.resources.threads_per_worker)
                     : available_cores()) {}

  Result<RunOutcome> run() {
    if (Status status = prepare(); !status) return status.error();
    sink_.run_started(job_, model::checkpoint_sha256(config_, learner_->published()),
                      layout_->num_parameters());
    for (const auto& note : data_.notes) sink_.noted(note);

    Status status = run_sft();
    if (status && job_.grpo.steps > 0) status = run_grpo();
    if (status) status = evaluate_now();
    if (!status && status.error().code != ErrorCode::kStopped) return status.error();
    if (!status) outcome_.state = "stopped";
    if (Status saved = save(); !saved) return saved.error();

    outcome_.steps = static_cast<int64_t>(number(version_));
    outcome_.weights_sha256 = model::checkpoint_sha256(config_, learner_->published());
    outcome_.seconds = watch_.seconds();
    Ledger& ledger = outcome_.ledger;
    ledger.money = (ledger.rollout_seconds + ledger.verifier_seconds + ledger.learner_seconds) /
                   3600.0 * job_.prices.cpu_core_hour;
    sink_.run_ended(ledger, outcome_.state, outcome_.weights_sha256);
    return std::move(outcome_);
  }

 private:
  // Everything that can be refused is refused here, before anything is written.
  Status prepare() {
    if (auto verifiers = find_verifiers(job_.rewards); !verifiers) return verifiers.error();
    if (job_.policy.tokenizer != "bytes") {
      return invalid_argument("policy.tokenizer = \"" + job_.policy.tokenizer +
                              "\" is not known; there is: bytes");
    }
    auto data = load_job_data(job_);
    if (!data) return data.error();
    data_ = std::move(*data);

    std::vector<float> initial;
    if (job_.policy.model.empty()) {
      auto config = model::named_config(job_.policy.config);
      if (!config) return config.error();
      config_ = *config;
    } else {
      auto checkpoint = model::load_checkpoint(job_.policy.model);
      if (!checkpoint) return checkpoint.error();
      config_ = checkpoint->config;
      initial = std::move(checkpoint->values);
    }
    if (Status status = check_vocabulary(config_); !status) return status.error();
    int64_t context_max = 1;
    for (const auto* prompts : {&data_.train, &data_.held_out}) {
      for (const auto& prompt : *prompts) {
        context_max = std::max(context_max, static_cast<int64_t>(prompt.tokens.size()) +
                                                job_.rollout.max_response_tokens);
      }
    }
    for (const auto& part : data_.cold_start) {
      for (const auto& one : part) {
        context_max = std::max(context_max, static_cast<int64_t>(one.tokens.size()));
      }
    }
    if (context_max > config_.max_position_embeddings) {
      return invalid_argument("prompt and response together may have " +
                              std::to_string(context_max) + " tokens, the model's limit is " +
                              std::to_string(config_.max_position_embeddings));
    }
    if (context_max > job_.learner.microbatch_tokens) {
      return invalid_argument(
          "learner.microbatch_tokens = " + std::to_string(job_.learner.microbatch_tokens) +
          " is smaller than one sequence of up to " + std::to_string(context_max) + " tokens");
    }
    layout_.emplace(config_);
    const model::Learner::Options learner_options{
        .microbatch_tokens = job_.learner.microbatch_tokens,
        .context_max = context_max,
        .gradient_lanes = job_.learner.gradient_lanes,
        .has_reference = job_.grpo.steps > 0 && job_.grpo.kl_coef != 0};
    const int64_t needed = model::Learner::memory_bytes(backend_, config_, *layout_,
                                                        threads_.count(), learner_options) +
                           (job_.rollout.cache_mb << 20);
    if (needed > physical_memory_bytes()) {
      return invalid_argument(
          "the job needs about " + std::to_string(needed >> 20) +
          " MB of memory, this machine has " + std::to_string(physical_memory_bytes() >> 20) +
          " MB; lower learner.microbatch_tokens, learner.gradient_lanes or rollout.cache_mb");
    }
    if (initial.empty()) initial = model::initial_parameters(config_, *layout_, job_.seed);
    auto generator =
        model::Generator::create(backend_, config_, threads_,
                                 {.cache_bytes = job_.rollout.cache_mb << 20,
                                  .context_max = context_max,
                                  .sequences_max = std::max<int64_t>(256, job_.grpo.group_size)});
    if (!generator) return generator.error();
    generator_ = std::move(*generator);
    learner_.emplace(backend_, config_, *layout_, threads_, initial, learner_options);
    if (!options_.home.empty()) {
      std::error_code error;
      fs::create_directories(options_.home + "/checkpoints", error);
      if (error) {
        return invalid_argument("cannot create " + options_.home + ": " + error.message());
      }
    }
    return ok();
  }

  model::StepOptions step_options(double learning_rate, double bias_rate) const {
    return {.temperature = static_cast<float>(job_.rollout.temperature),
            .learning_rate = learning_rate,
            .beta1 = job_.optimizer.beta1,
            .beta2 = job_.optimizer.beta2,
            .epsilon = job_.optimizer.epsilon,
            .weight_decay = job_.optimizer.weight_decay,
            .gradient_clip = job_.optimizer.gradient_clip,
            .balance_bias_rate = bias_rate};
  }

  // The cold-start files one after another, each for its share of the steps.
  Status run_sft() {
    const size_t parts = data_.cold_start.size();
    std::vector<int64_t> ends;  // Of each part, in steps.
    double share = 0;
    for (size_t part = 0; part < parts; ++part) {
      share += job_.sft.part_shares.empty() ? 1.0 / static_cast<double>(parts)
                                            : job_.sft.part_shares[part];
      ends.push_back(std::llround(std::min(share, 1.0) * static_cast<double>(job_.sft.steps)));
    }
    int64_t step = 0;
    for (size_t part = 0; part < parts && job_.sft.steps > 0; ++part) {
      const bool is_last = part + 1 == parts;
      const int64_t end = is_last ? job_.sft.steps : ends[part];
      // At most half of the next part may be lent to this one, see pass_gate.
      const int64_t limit = is_last ? end : end + (ends[part + 1] - end) / 2;
      model::DrawOrder order(
          {.seed = job_.seed,
           .deck = model::DrawOrder::kColdStartDeck + static_cast<uint32_t>(part),
           .count = static_cast<int64_t>(data_.cold_start[part].size()),
           .shuffle = job_.data.shuffle});
      int64_t drawn = 0;
      while (step < end) {
        if (Status s = imitate(part, order, drawn, ++step); !s) return s;
      }
      if (is_last || job_.sft.gate_pass_at_1 == 0) continue;
      if (Status s = pass_gate(part, order, drawn, step, limit); !s) return s;
    }
    return ok();
  }

  // Prolongs a part at the expense of the next one until the policy can do what the part shows: a
  // part that was cut short would leave reinforcement without the facts it needs. The number of
  // steps, and so the policy's version, stays what the job says.
  Status pass_gate(size_t part, model::DrawOrder& order, int64_t& drawn, int64_t& step,
                   int64_t limit) {
    const int64_t extension = std::max<int64_t>(1, job_.sft.steps / 20);
    while (true) {
      auto evaluation = evaluate_on(kGateProblems, 0.0);
      if (!evaluation) return evaluation.error();
      const double pass_at_1 = evaluation->metrics.pass_at_1();
      if (pass_at_1 >= job_.sft.gate_pass_at_1) return ok();
      const int64_t end = std::min(step + extension, limit);
      sink_.noted(fmt::format("{} ended at pass@1 {:.3f}, the gate is {:.3f}: {}",
                              fs::path(job_.data.cold_start[part]).filename().string(), pass_at_1,
                              job_.sft.gate_pass_at_1,
                              end > step ? fmt::format("{} steps more", end - step)
                                         : "going on all the same; raise sft.steps"));
      if (end == step) return ok();
      while (step < end) {
        if (Status s = imitate(part, order, drawn, ++step); !s) return s;
      }
    }
  }

  // Step `step` of the cold start, on the next demonstrations of a part.
  Status imitate(size_t part, model::DrawOrder& order, int64_t& drawn, int64_t step) {
    if (options_.is_interrupted()) return stopped();
    const model::LearningRate rate{.peak = job_.sft.learning_rate,
                                   .warmup_steps = job_.optimizer.warmup_steps,
                                   .steps = job_.sft.steps,
                                   .is_cosine = job_.sft.learning_rate_schedule == "cosine",
                                   .final_fraction = job_.sft.learning_rate_final_fraction};
    std::vector<LearnSequence> batch;
    int64_t tokens = 0, learned = 0;
    while (true) {
      const auto& one = data_.cold_start[part][static_cast<size_t>(order.at(drawn))];
      if (tokens + static_cast<int64_t>(one.tokens.size()) > job_.sft.batch_tokens) break;
      ++drawn;
      tokens += static_cast<int64_t>(one.tokens.size());
      learned += std::count(one.loss_mask.begin(), one.loss_mask.end(), 1);
      batch.push_back({.tokens = one.tokens, .loss_mask = one.loss_mask});
    }
    for (auto& sequence : batch) sequence.token_weight = 1.0 / static_cast<double>(learned);
    StepMetrics metrics;
    metrics.stage = Stage::kSft;
    metrics.stage_step = step;
    metrics.stage_steps = job_.sft.steps;
    auto options = step_options(
        rate.at(step), job_.sft.balance_bias_rate.value_or(job_.learner.balance_bias_rate));
    options.temperature = 1;
    return learn(batch, options, metrics);
  }

  Status run_grpo() {
    const int64_t M = job_.grpo.minibatches_per_round, P = job_.grpo.prompts_per_round;
    const model::LearningRate rate{.peak = job_.grpo.learning_rate,
                                   .warmup_steps = job_.optimizer.warmup_steps,
                                   .steps = job_.grpo.steps};
    model::GrpoObjective objective{.clip_low = job_.grpo.clip_low,
                                   .clip_high = job_.grpo.clip_high,
                                   .kl_coef = job_.grpo.kl_coef,
                                   .kl_estimator = model::kl_estimator(job_.grpo.kl_estimator)};
    prompt_order_.emplace(
        model::PromptOrder::Options{.seed = job_.seed,
                                    .count = static_cast<int64_t>(data_.train.size()),
                                    .prompts_per_round = P,
                                    .shuffle = job_.data.shuffle});
    learner_->reset_optimizer();
    learner_->refresh_reference();
    if (Status status = evaluate_now(); !status) return status;
    for (int64_t step = 0; step < job_.grpo.steps;) {
      const Round round{static_cast<uint64_t>(step / M)};
      auto result = play(round);
      if (!result) return result.error();
      if (Status status = rescore(round, result->groups); !status) return status;
      const auto num_groups = static_cast<int64_t>(result->groups.size());
      for (int64_t m = 0; m < M; ++m) {
        const int64_t begin = std::min(m * P / M, num_groups);
        if (options_.is_interrupted()) {
          for (int64_t i = begin; i < num_groups; ++i) {
            outcome_.ledger.trajectories_dropped["stopped"] += job_.grpo.group_size;
          }
          return stopped();
        }
        ++step;
        const int64_t end = std::min((m + 1) * P / M, num_groups);
        auto options = step_options(rate.at(step), job_.learner.balance_bias_rate);
        options.grpo = objective;
        StepMetrics metrics = result->metrics;
        metrics.stage_step = step;
        metrics.stage_steps = job_.grpo.steps;
        if (m > 0) metrics.generate_seconds = metrics.verify_seconds = 0;
        if (m > 0) metrics.tokens_generated = 0;
        const auto batch =
            minibatch(std::span(result->groups)
                          .subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                      metrics);
        if (Status status = learn(batch, options, metrics); !status) return status;
        if (step % job_.grpo.reference_refresh_steps == 0) learner_->refresh_reference();
        if (job_.schedule.checkpoint_every_steps > 0 &&
            step % job_.schedule.checkpoint_every_steps == 0 && step < job_.grpo.steps) {
          if (Status status = save(); !status) return status;
        }
        if (job_.eval.every_steps > 0 && step % job_.eval.every_steps == 0 &&
            step < job_.grpo.steps) {
          if (Status status = evaluate_now(); !status) return status;
        }
      }
    }
    return ok();
  }

  // Generates and judges one round, and decides which of its groups are learned.
  Result<RoundResult> play(Round round) {
    RoundResult result;
    StepMetrics& metrics = result.metrics;
    metrics.stage = Stage::kGrpo;
    metrics.round = round;
    const auto P = static_cast<uint32_t>(job_.grpo.prompts_per_round);
    const bool drops = job_.grpo.zero_variance_groups != "keep";
    const int64_t replacement_rounds =
        job_.grpo.zero_variance_groups == "replace" ? job_.grpo.replacement_rounds_max : 0;
    uint32_t next_ordinal = 0;
    for (int64_t attempt = 0; attempt <= replacement_rounds; ++attempt) {
      const auto missing = P - static_cast<uint32_t>(result.groups.size());
      if (missing == 0) break;
      auto groups = play_groups(round, next_ordinal, missing, metrics);
      if (!groups) return groups.error();
      next_ordinal += missing;
      for (auto& group : *groups) {
        if (group.trajectories.empty()) continue;  // Dropped, and counted where it was.
        if (drops && !group.has_variance) {
          outcome_.ledger.trajectories_dropped["zero_variance"] +=
              static_cast<int64_t>(group.trajectories.size());
          continue;
        }
        result.groups.push_back(std::move(group));
      }
    }
    finish_round_metrics(metrics);
    return result;
  }

  Result<std::vector<Group>> play_groups(Round round, uint32_t first_ordinal, uint32_t count,
                                         StepMetrics& metrics) {
    const Stopwatch generating;
    std::vector<Group> groups(count);
    std::vector<model::GroupRequest> requests(count);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t ordinal = first_ordinal + i;
      const auto index = static_cast<size_t>(
          prompt_order_->at(static_cast<int64_t>(number(round)), static_cast<int64_t>(ordinal)));
      groups[i].id = {round, ordinal};
      groups[i].prompt = &data_.train[index];
      requests[i] = {.prompt = data_.train[index].tokens,
                     .num_samples = static_cast<int32_t>(job_.grpo.group_size),
                     .key = {.seed = job_.seed,
                             .round = number(round),
                             .stream = static_cast<uint32_t>(kernels::StreamId::kSample),
                             .ordinal = ordinal}};
    }
    const int64_t total = static_cast<int64_t>(count) * job_.grpo.group_size;
    bool is_stopped = false;
    auto responses =
        generator_->generate(learner_->weights(), requests,
                             {.temperature = static_cast<float>(job_.rollout.temperature),
                              .top_p = static_cast<float>(job_.rollout.top_p),
                              .max_response_tokens = job_.rollout.max_response_tokens,
                              .stop_token = model::ByteTokenizer::kEos},
                             [&](int64_t finished) {
                               sink_.progressed("generating", finished, total);
                               is_stopped = is_stopped || options_.is_interrupted();
                               return !is_stopped;
                             });
    if (is_stopped) return stopped();
    const double generate_seconds = generating.seconds();
    metrics.generate_seconds += generate_seconds;
    outcome_.ledger.rollout_seconds += generate_seconds * threads_.count();

    const Stopwatch verifying;
    for (uint32_t i = 0; i < count; ++i) judge_group(groups[i], responses[i], metrics);
    const double verify_seconds = verifying.seconds();
    metrics.verify_seconds += verify_seconds;
    outcome_.ledger.verifier_seconds += verify_seconds;
    return groups;
  }

  void judge_group(Group& group, std::vector<model::Response>& responses, StepMetrics& metrics) {
    const size_t accuracy = accuracy_part(job_.rewards);
    std::vector<float> rewards;
    bool is_payable = true;
    for (size_t sample = 0; sample < responses.size(); ++sample) {
      model::Response& response = responses[sample];
      const std::string text = response_text(response);
      Trajectory trajectory = make_trajectory(group, static_cast<uint32_t>(sample), response);
      trajectory.verdict = judge(job_.rewards, text, group.prompt->gold);
      is_payable = is_payable && trajectory.verdict.is_payable();
      const auto& parts = trajectory.verdict.parts;
      ++outcome_.ledger.verdicts[name(parts[accuracy].kind)];
      ++outcome_.ledger.trajectories_generated;
      outcome_.ledger.tokens_generated += static_cast<int64_t>(response.tokens.size());
      // Sums here, means in finish_round_metrics.
      const double reward = static_cast<double>(trajectory.verdict.reward());
      metrics.tokens_generated += static_cast<int64_t>(response.tokens.size());
      metrics.reward_mean += reward;
      metrics.reward_std += reward * reward;
      metrics.accuracy += parts[accuracy].value > 0 ? 1 : 0;
      for (const auto& part : parts) {
        metrics.format_share += part.kind == VerdictKind::kWellFormed ? 1 : 0;
      }
      metrics.thinking_share += has_thinking(text) ? 1 : 0;
      metrics.response_length_clipped += response.finish_reason == FinishReason::kLength ? 1 : 0;
      rewards.push_back(trajectory.verdict.reward());
      group.trajectories.push_back(std::move(trajectory));
    }
    ++round_groups_;
    round_trajectories_ += static_cast<int64_t>(responses.size());
    if (!is_payable) {
      outcome_.ledger.trajectories_dropped["unverifiable"] +=
          static_cast<int64_t>(group.trajectories.size());
      sink_.noted("dropped the group of prompt \"" + group.prompt->text +
                  "\": " + group.trajectories[0].verdict.parts[accuracy].reason);
      group.trajectories.clear();
      return;
    }
    group.has_variance =
        std::any_of(rewards.begin(), rewards.end(), [&](float r) { return r != rewards[0]; });
    metrics.frac_reward_zero_std += group.has_variance ? 0 : 1;
  }

  Trajectory make_trajectory(const Group& group, uint32_t sample,
                             const model::Response& response) const {
    Trajectory t;
    t.id = {group.id, sample};
    t.prompt_index = static_cast<uint64_t>(group.prompt - data_.train.data());
    t.tokens = group.prompt->tokens;
    const auto prompt = static_cast<uint32_t>(t.tokens.size());
    t.tokens.insert(t.tokens.end(), response.tokens.begin(), response.tokens.end());
    const auto total = static_cast<uint32_t>(t.tokens.size());
    t.loss_mask.assign(prompt, 0);
    t.loss_mask.resize(total, 1);
    t.rollout_logprobs.assign(prompt, 0.0f);
    t.rollout_logprobs.insert(t.rollout_logprobs.end(), response.logprobs.begin(),
                              response.logprobs.end());
    t.segments = {{SegmentRole::kPrompt, 0, prompt}, {SegmentRole::kPolicy, prompt, total}};
    t.versions = {{version_, prompt, total}};
    t.finish_reason = response.finish_reason;
    return t;
  }

  void finish_round_metrics(StepMetrics& metrics) {
    const auto n = static_cast<double>(std::max<int64_t>(1, round_trajectories_));
    metrics.reward_mean /= n;
    metrics.reward_std = std::sqrt(
        std::max(0.0, metrics.reward_std / n - metrics.reward_mean * metrics.reward_mean));
    metrics.accuracy /= n;
    metrics.format_share /= n;
    metrics.thinking_share /= n;
    metrics.response_length_clipped /= n;
    metrics.response_length_mean = static_cast<double>(metrics.tokens_generated) / n;
    metrics.frac_reward_zero_std /= static_cast<double>(std::max<int64_t>(1, round_groups_));
    round_groups_ = round_trajectories_ = 0;
  }

  // Sequences in (ordinal, sample) order with their advantages and fixed weights.
  std::vector<LearnSequence> minibatch(std::span<const Group> groups, StepMetrics& metrics) const {
    std::vector<LearnSequence> batch;
    const auto kind = model::advantage_kind(job_.grpo.advantage);
    int64_t learned = 0;
    double absolute = 0;
    for (const auto& group : groups) {
      std::vector<float> rewards;
      for (const auto& t : group.trajectories) rewards.push_back(t.verdict.reward());
      const auto advantages = model::group_advantages(rewards, kind);
      for (size_t i = 0; i < group.trajectories.size(); ++i) {
        const Trajectory& t = group.trajectories[i];
        learned += t.num_response_tokens();
        absolute += std::fabs(advantages[i]);
        batch.push_back({.tokens = t.tokens,
                         .loss_mask = t.loss_mask,
                         .rollout_logprobs = t.rollout_logprobs,
                         .advantage = advantages[i]});
      }
    }
    const bool is_token_mean = job_.grpo.loss_aggregation == "token_mean";
    for (auto& sequence : batch) {
      const auto length = std::count(sequence.loss_mask.begin(), sequence.loss_mask.end(), 1);
      sequence.token_weight =
          is_token_mean ? 1.0 / static_cast<double>(learned)
                        : 1.0 / (static_cast<double>(batch.size()) * static_cast<double>(length));
    }
    if (!batch.empty()) metrics.advantage_abs_mean = absolute / static_cast<double>(batch.size());
    return batch;
  }

  // One optimizer update, reported and counted.
  Status learn(std::span<const LearnSequence> batch, const model::StepOptions& options,
               StepMetrics& metrics) {
    const Stopwatch learning;
    const model::StepResult step = learner_->step(batch, options);
    version_ = PolicyVersion{number(version_) + 1};
    metrics.learn_seconds = learning.seconds();
    metrics.version = version_;
    metrics.loss = step.loss;
    metrics.grad_norm = step.gradient_norm;
    metrics.learning_rate = options.learning_rate;
    metrics.was_skipped = step.was_skipped;
    metrics.tokens_learned = step.tokens;
    metrics.expert_load_max_violation = step.expert_load_max_violation;
    metrics.entropy = step.entropy;
    metrics.kl = step.kl;
    metrics.ppo_kl = step.ppo_kl;
    metrics.clip_fraction = step.clip_fraction;
    metrics.ratio_max = step.ratio_max;
    Ledger& ledger = outcome_.ledger;
    ledger.learner_seconds += metrics.learn_seconds * threads_.count();
    ledger.tokens_learned += step.tokens;
    if (options.grpo && !batch.empty()) {
      (step.was_finite ? ledger.trajectories_learned : ledger.trajectories_dropped["not_finite"]) +=
          static_cast<int64_t>(batch.size());
    }
    sink_.step_committed(metrics);
    // A step without anything to learn says nothing about the gradient.
    if (!step.was_finite) ++non_finite_in_a_row_;
    if (step.was_finite && !step.was_skipped) non_finite_in_a_row_ = 0;
    if (!step.was_finite) {
      sink_.noted("step " + std::to_string(number(version_)) +
                  ": the gradient was not finite; the step was skipped");
    }
    if (non_finite_in_a_row_ >= job_.optimizer.non_finite_steps_max) {
      return Error{ErrorCode::kInternal,
                   std::to_string(non_finite_in_a_row_) +
                       " steps in a row had no finite gradient; lower the learning rate, or raise "
                       "optimizer.non_finite_steps_max to go on"};
    }
    return ok();
  }

  // The promise that rollout and learner are one arithmetic, checked on a sample of trajectories.
  Status rescore(Round round, const std::vector<Group>& groups) {
    const int64_t every = job_.rollout.rescore_every_rounds;
    if (every == 0 || static_cast<int64_t>(number(round)) % every != 0) return ok();
    constexpr size_t kSampled = 8;
    std::vector<LearnSequence> sequences;
    std::vector<const Trajectory*> sampled;
    const size_t stride = std::max<size_t>(1, groups.size() / kSampled);
    for (size_t i = 0; i < groups.size(); i += stride) {
      const auto& trajectories = groups[i].trajectories;
      const Trajectory& t = trajectories[i % trajectories.size()];
      sequences.push_back({.tokens = t.tokens, .loss_mask = t.loss_mask});
      sampled.push_back(&t);
    }
    const auto scores = learner_->score(sequences, static_cast<float>(job_.rollout.temperature));
    for (size_t i = 0; i < sampled.size(); ++i) {
      const Trajectory& t = *sampled[i];
      for (size_t token = 0; token < t.tokens.size(); ++token) {
        if (std::memcmp(&scores[i][token], &t.rollout_logprobs[token], sizeof(float)) == 0)
          continue;
        return Error{ErrorCode::kInternal,
                     "rollout and learner disagree: round " + std::to_string(number(round)) +
                         ", ordinal " + std::to_string(t.id.group.ordinal) + ", sample " +
                         std::to_string(t.id.sample) + ", token " + std::to_string(token) +
                         ": recorded " + std::to_string(t.rollout_logprobs[token]) + ", scored " +
                         std::to_string(scores[i][token])};
      }
    }
    return ok();
  }

  Status evaluate_now() {
    if (data_.held_out.empty()) return ok();
    auto evaluation = evaluate_on(job_.eval.problems, job_.eval.temperature);
    if (!evaluation) return evaluation.error();
    sink_.evaluated(evaluation->metrics, evaluation->traces);
    outcome_.evaluations.push_back(std::move(*evaluation));
    return ok();
  }

  Result<Evaluation> evaluate_on(int64_t problems, double temperature) {
    const size_t count = std::min(data_.held_out.size(), static_cast<size_t>(problems));
    auto evaluation = evaluate(
        *generator_, learner_->weights(), std::span(data_.held_out).first(count), job_.rewards,
        {.seed = job_.seed,
         .version = version_,
         .temperature = temperature,
         .max_response_tokens = job_.rollout.max_response_tokens},
        [&](int64_t finished) {
          sink_.progressed("evaluating", finished, static_cast<int64_t>(count));
          return !options_.is_interrupted();
        });
    if (evaluation) {
      outcome_.ledger.rollout_seconds += evaluation->metrics.seconds * threads_.count();
    }
    return evaluation;
  }

  Status save() {
    if (options_.home.empty()) return ok();
    const std::string folder =
        options_.home + "/checkpoints/step_" + std::to_string(number(version_));
    const auto saved = model::save_checkpoint(folder, {.config = config_,
                                                       .values = learner_->published(),
                                                       .tokenizer = job_.policy.tokenizer,
                                                       .prompt_template = job_.data.template_name});
    if (!saved) return saved.error();
    outcome_.checkpoint = folder;
    if (checkpoints_.empty() || checkpoints_.back() != folder) checkpoints_.push_back(folder);
    while (static_cast<int64_t>(checkpoints_.size()) > job_.schedule.checkpoints_kept) {
      std::error_code ignored;
      fs::remove_all(checkpoints_.front(), ignored);
      checkpoints_.pop_front();
    }
    return ok();
  }

  const kernels::Backend& backend_;
  const JobSpec& job_;
  const LocalRunOptions& options_;
  MetricsSink& sink_;
  model::Threads threads_;
  Stopwatch watch_{};
  JobData data_{};
  model::TransformerConfig config_{};
  std::optional<model::ParameterLayout> layout_{};
  std::unique_ptr<model::Generator> generator_{};
  std::optional<model::Learner> learner_{};
  std::optional<model::PromptOrder> prompt_order_{};
  std::deque<std::string> checkpoints_{};
  PolicyVersion version_{};
  int64_t non_finite_in_a_row_ = 0;
  int64_t round_groups_ = 0;
  int64_t round_trajectories_ = 0;
  RunOutcome outcome_{};
};

}  // namespace

Result<RunOutcome> run_local(const kernels::Backend& backend, const JobSpec& job,
                             const LocalRunOptions& options, MetricsSink& sink) {
  return LocalRun(backend, job, options, sink).run();
}

}  // namespace troupe::actors

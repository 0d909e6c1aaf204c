#include "actors/learner/learner_role.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "actors/job/prepared_job.h"
#include "actors/learner/off_policy_metrics.h"
#include "model/data/prompt_template.h"
#include "model/formats/checkpoint.h"
#include "model/formats/recovery_point.h"
#include "model/training/advantage.h"
#include "model/transformer/initialise.h"
#include "schemas/records_codec.h"

namespace troupe::actors {

using model::LearnSequence;

namespace {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Trajectories that are re-scored where a step asks for it.
constexpr size_t kRescored = 8;

Result<std::vector<GroupRecord>> decode_groups(std::span<const std::vector<std::byte>> encoded) {
  std::vector<GroupRecord> groups;
  for (const auto& bytes : encoded) {
    auto group = decode_group_record(bytes);
    if (!group) return group.error();
    groups.push_back(std::move(*group));
  }
  return groups;
}

}  // namespace

Result<model::TransformerConfig> policy_config(const JobSpec& job) {
  return job.policy.model.empty() ? model::named_config(job.policy.config)
                                  : model::load_policy_config(job.policy.model);
}

LearnerRole::LearnerRole(const kernels::Backend&, const Lease& lease,
                         const model::TransformerConfig& config)
    : job_(lease.job),
      config_(config),
      layout_(config_),
      threads_(static_cast<int>(lease.learner_threads)) {}

Result<std::unique_ptr<LearnerRole>> LearnerRole::create(const kernels::Backend& backend,
                                                         const Lease& lease) {
  auto config = policy_config(lease.job);
  if (!config) return config.error();
  std::unique_ptr<LearnerRole> role(new LearnerRole(backend, lease, *config));
  const auto options = learner_options(lease.job, lease.context_max);
  const std::string& model = lease.job.policy.model;
  if (!model.empty()) {
    auto text = model::load_policy_text(model, role->config_);
    if (!text) return text.error();
    role->text_ = std::move(*text);
  }
  auto prompt_template = model::PromptTemplate::find(lease.job.data.template_name, role->text_);
  if (!prompt_template) return prompt_template.error();
  auto stops = prompt_template->stop_tokens(role->text_.tokenizer);
  if (!stops) return stops.error();
  auto ids = role->text_.tokenizer.special();
  ids.stop = std::move(*stops);
  auto tokenizer = role->text_.tokenizer.with(std::move(ids));
  if (!tokenizer) return tokenizer.error();
  role->text_.tokenizer = std::move(*tokenizer);
  role->text_.prompt_template = prompt_template->name();
  std::vector<float> initial;
  std::optional<model::LearnerState> state;
  if (!lease.point_path.empty()) {
    auto loaded = model::load_recovery_point(lease.point_path, lease.point, role->layout_,
                                             options.has_reference);
    if (!loaded) return loaded.error();
    state = std::move(*loaded);
    initial = state->masters;
    role->version_ = lease.point.version;
  } else if (model.empty()) {
    initial = model::initial_parameters(role->config_, role->layout_, lease.job.seed);
  } else {
    auto checkpoint = model::load_checkpoint(model);
    if (!checkpoint) return checkpoint.error();
    initial = std::move(checkpoint->values);
  }
  role->learner_.emplace(backend, role->config_, role->layout_, role->threads_, initial, options);
  if (state) {
    if (Status set = role->learner_->set_state(*state); !set) return set.error();
  }
  return role;
}

std::string LearnerRole::weights_sha256() const {
  return model::checkpoint_sha256(config_, learner_->published());
}

WorkerReady LearnerRole::ready() const {
  return {.version = version_,
          .weights_sha256 = weights_sha256(),
          .num_parameters = layout_.num_parameters()};
}

Result<StepLearned> LearnerRole::learn(const LearnStep& step) {
  const Stopwatch learning;
  if (number(step.version) != number(version_) + 1) {
    return Error{ErrorCode::kInternal, "asked for step " + std::to_string(number(step.version)) +
                                           " after step " + std::to_string(number(version_))};
  }
  if (step.begins_stage) {
    learner_->reset_optimizer();
    learner_->refresh_reference();
  }
  auto decoded = decode_groups(step.groups);
  if (!decoded) return decoded.error();
  const std::vector<GroupRecord> groups = std::move(*decoded);
  StepLearned learned;
  std::vector<LearnSequence> batch;
  std::vector<const Trajectory*> trajectories_of_batch;
  std::vector<std::vector<float>> old_logprobs;
  model::StepOptions options{.temperature = 1,
                             .learning_rate = step.learning_rate,
                             .beta1 = job_.optimizer.beta1,
                             .beta2 = job_.optimizer.beta2,
                             .epsilon = job_.optimizer.epsilon,
                             .weight_decay = job_.optimizer.weight_decay,
                             .gradient_clip = job_.optimizer.gradient_clip,
                             .balance_bias_rate = step.balance_bias_rate};
  // Learned tokens, counted before packing: they fix what each token weighs.
  int64_t tokens = 0;
  for (const Demonstration& one : step.demonstrations) {
    tokens += std::count(one.loss_mask.begin(), one.loss_mask.end(), 1);
    batch.push_back({.tokens = one.tokens, .loss_mask = one.loss_mask});
  }
  bool is_token_mean = true;
  if (step.stage == Stage::kGrpo) {
    is_token_mean = job_.grpo.loss_aggregation == "token_mean";
    options.temperature = static_cast<float>(job_.rollout.temperature);
    options.grpo = model::GrpoObjective{
        .clip_low = job_.grpo.clip_low,
        .clip_high = job_.grpo.clip_high,
        .kl_coef = job_.grpo.kl_coef,
        .kl_estimator = model::kl_estimator(job_.grpo.kl_estimator),
        .off_policy_correction = model::off_policy_correction(job_.grpo.off_policy_correction),
        .importance_cap = job_.grpo.importance_cap};
    const auto kind = model::advantage_kind(job_.grpo.advantage);
    std::vector<const Trajectory*> sampled;
    double absolute = 0;
    const size_t stride = std::max<size_t>(1, groups.size() / kRescored);
    for (size_t g = 0; g < groups.size(); ++g) {
      const auto& trajectories = groups[g].trajectories;
      if (g % stride == 0) sampled.push_back(&trajectories[g % trajectories.size()]);
      std::vector<float> rewards;
      for (const auto& t : trajectories) rewards.push_back(t.verdict.reward());
      const auto advantages = model::group_advantages(rewards, kind);
      for (size_t i = 0; i < trajectories.size(); ++i) {
        const Trajectory& t = trajectories[i];
        tokens += t.num_response_tokens();
        absolute += std::fabs(advantages[i]);
        trajectories_of_batch.push_back(&t);
        batch.push_back({.tokens = t.tokens,
                         .loss_mask = t.loss_mask,
                         .rollout_logprobs = t.rollout_logprobs,
                         .advantage = advantages[i]});
      }
    }
    if (!batch.empty()) {
      learned.metrics.advantage_abs_mean = absolute / static_cast<double>(batch.size());
    }
    if (step.rescores) {
      if (Status status = rescore(sampled); !status) return status.error();
    }
    if (has_correction() && begins_round()) {
      if (Status status = score_later_groups(step); !status) return status.error();
    } else if (has_correction()) {
      auto taken = take_old_logprobs(groups);
      if (!taken) return taken.error();
      old_logprobs = std::move(*taken);
      for (size_t i = 0; i < batch.size(); ++i) batch[i].old_logprobs = old_logprobs[i];
    }
  }
  for (auto& sequence : batch) {
    const auto length = std::count(sequence.loss_mask.begin(), sequence.loss_mask.end(), 1);
    sequence.token_weight =
        is_token_mean ? 1.0 / static_cast<double>(tokens)
                      : 1.0 / (static_cast<double>(batch.size()) * static_cast<double>(length));
  }
  const auto stepped = learner_->step(batch, options);
  if (!stepped) return stepped.error();
  const model::StepResult& result = *stepped;
  if (step.refreshes_reference) learner_->refresh_reference();
  if (step.stage == Stage::kGrpo) {
    add_off_policy_metrics(trajectories_of_batch, version_, result.sequences, has_correction(),
                           learned.metrics);
  }
  version_ = step.version;

  StepMetrics& metrics = learned.metrics;
  metrics.stage = step.stage;
  metrics.version = version_;
  metrics.loss = result.loss;
  metrics.grad_norm = result.gradient_norm;
  metrics.learning_rate = step.learning_rate;
  metrics.was_skipped = result.was_skipped;
  metrics.was_finite = result.was_finite;
  metrics.tokens_learned = result.tokens;
  metrics.expert_load_max_violation = result.expert_load_max_violation;
  metrics.entropy = result.entropy;
  metrics.kl = result.kl;
  metrics.ppo_kl = result.ppo_kl;
  metrics.clip_fraction = result.clip_fraction;
  metrics.ratio_max = result.ratio_max;
  metrics.learn_seconds = learning.seconds();
  learned.core_seconds = metrics.learn_seconds * threads_.count();
  return learned;
}

bool LearnerRole::begins_round() const {
  const auto steps = static_cast<int64_t>(number(version_)) - job_.sft.steps;
  return steps % job_.grpo.minibatches_per_round == 0;
}

// The groups of the step at hand need no forward of their own: the step's is by the same policy.
Status LearnerRole::score_later_groups(const LearnStep& step) {
  old_logprobs_.clear();
  const auto groups = decode_groups(step.later_groups);
  if (!groups) return groups.error();
  std::vector<LearnSequence> sequences;
  for (const GroupRecord& group : *groups) {
    for (const Trajectory& t : group.trajectories) {
      sequences.push_back({.tokens = t.tokens, .loss_mask = t.loss_mask});
    }
  }
  auto scores = learner_->score(sequences, static_cast<float>(job_.rollout.temperature));
  size_t next = 0;
  for (const GroupRecord& group : *groups) {
    for (const Trajectory& t : group.trajectories) {
      old_logprobs_[t.id.group].push_back(std::move(scores[next++]));
    }
  }
  return ok();
}

// By trajectory, in order.
Result<std::vector<std::vector<float>>> LearnerRole::take_old_logprobs(
    std::span<const GroupRecord> groups) {
  std::vector<std::vector<float>> taken;
  for (const GroupRecord& group : groups) {
    const GroupId id = group.trajectories.front().id.group;
    auto found = old_logprobs_.extract(id);
    if (found.empty() || found.mapped().size() != group.trajectories.size()) {
      return Error{ErrorCode::kInternal,
                   "round " + std::to_string(number(id.round)) + ", group " +
                       std::to_string(id.ordinal) +
                       ": its log-probabilities at the beginning of the round are not there"};
    }
    for (auto& logprobs : found.mapped()) taken.push_back(std::move(logprobs));
  }
  return taken;
}

// The promise that rollout and learner are one arithmetic, checked on a sample of trajectories.
Status LearnerRole::rescore(std::vector<const Trajectory*> sampled) {
  std::vector<LearnSequence> sequences;
  // Older versions are not here to be asked.
  std::erase_if(sampled, [&](const Trajectory* t) {
    return std::any_of(t->versions.begin(), t->versions.end(),
                       [&](const VersionRange& range) { return range.version != version_; });
  });
  if (sampled.empty()) return ok();
  for (const Trajectory* t : sampled) {
    sequences.push_back({.tokens = t->tokens, .loss_mask = t->loss_mask});
  }
  const auto scores = learner_->score(sequences, static_cast<float>(job_.rollout.temperature));
  for (size_t i = 0; i < sampled.size(); ++i) {
    const Trajectory& t = *sampled[i];
    for (size_t token = 0; token < t.tokens.size(); ++token) {
      if (std::memcmp(&scores[i][token], &t.rollout_logprobs[token], sizeof(float)) == 0) continue;
      return Error{ErrorCode::kInternal, "rollout and learner disagree: round " +
                                             std::to_string(number(t.id.group.round)) +
                                             ", ordinal " + std::to_string(t.id.group.ordinal) +
                                             ", sample " + std::to_string(t.id.sample) +
                                             ", token " + std::to_string(token) + ": recorded " +
                                             std::to_string(t.rollout_logprobs[token]) +
                                             ", scored " + std::to_string(scores[i][token])};
    }
  }
  return ok();
}

Result<PolicyPublished> LearnerRole::publish(const PublishPolicy& request) {
  if (request.version != version_) {
    return Error{ErrorCode::kInternal, "asked to publish version " +
                                           std::to_string(number(request.version)) +
                                           " at version " + std::to_string(number(version_))};
  }
  const auto values = learner_->published();
  if (Status s = model::write_policy_file(request.path, config_, values); !s) return s.error();
  return PolicyPublished{.version = version_,
                         .path = request.path,
                         .weights_sha256 = model::checkpoint_sha256(config_, values)};
}

Result<PointSaved> LearnerRole::save(const SavePoint& request) {
  const Stopwatch saving;
  if (request.version != version_) {
    return Error{ErrorCode::kInternal, "asked for a recovery point of version " +
                                           std::to_string(number(request.version)) +
                                           " at version " + std::to_string(number(version_))};
  }
  auto point = model::save_recovery_point(
      request.folder, version_, {.config = config_, .values = learner_->published(), .text = text_},
      learner_->state(), request.policies);
  if (!point) {
    // Half of it helps nobody, least of all on a full disk.
    std::error_code ignored;
    std::filesystem::remove_all(request.folder, ignored);
    return point.error();
  }
  return PointSaved{.point = *point, .core_seconds = saving.seconds()};
}

}  // namespace troupe::actors

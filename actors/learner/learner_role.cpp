#include "actors/learner/learner_role.h"

#include <chrono>
#include <cstring>

#include "actors/job/prepared_job.h"
#include "actors/learner/off_policy_metrics.h"
#include "model/data/prompt_template.h"
#include "model/formats/checkpoint.h"
#include "model/formats/recovery_point.h"
#include "model/transformer/initialise.h"

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

Error not_mine(const LearnShare& share, const std::string& what) {
  return {ErrorCode::kInternal, "step " + std::to_string(number(share.version)) + ": " + what +
                                    "; head and learner do not deal out a minibatch alike"};
}

}  // namespace

Result<model::TransformerConfig> policy_config(const JobSpec& job) {
  return job.policy.model.empty() ? model::named_config(job.policy.config)
                                  : model::load_policy_config(job.policy.model);
}

LearnerRole::LearnerRole(const Lease& lease, const model::TransformerConfig& config,
                         model::Seat seat)
    : job_(lease.job),
      config_(config),
      layout_(config_),
      seat_(seat),
      threads_(static_cast<int>(lease.learner_threads)) {}

Result<std::unique_ptr<LearnerRole>> LearnerRole::create(const kernels::Backend& backend,
                                                         const Lease& lease, model::Seat seat) {
  auto config = policy_config(lease.job);
  if (!config) return config.error();
  std::unique_ptr<LearnerRole> role(new LearnerRole(lease, *config, seat));
  auto options = learner_options(lease.job, lease.context_max);
  options.seat = seat;
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
    const model::FloatRange own =
        model::ShardMap(role->layout_, seat.ranks()).range_of(seat.rank());
    auto loaded = model::load_recovery_point(lease.point_path, lease.point, role->layout_, own,
                                             options.has_reference);
    if (!loaded) return loaded.error();
    state = std::move(*loaded);
    // The ranks publish their masters below; until then any weights will do.
    initial.resize(static_cast<size_t>(role->layout_.num_floats()));
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

// Each rank digests the chunks that it owns.
Result<std::string> LearnerRole::weights_sha256() {
  if (weights_sha256_) return *weights_sha256_;
  const auto values = learner_->published();
  const model::ShardMap shards(layout_, seat_.ranks());
  const auto own = shards.chunks_of(seat_.rank());
  std::vector<Sha256Digest> digests(own.size());
  threads_.run(static_cast<int64_t>(own.size()), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    digests[at] = model::published_digests(layout_, own.subspan(at, 1), values).front();
  });
  if (seat_.ranks() > 1) {
    const auto bytes_max = static_cast<int64_t>(shards.chunks_max() * sizeof(Sha256Digest));
    const auto told =
        seat_.communicator->exchange(std::as_bytes(std::span(digests)), bytes_max,
                                     std::chrono::steady_clock::now() + seat_.patience);
    if (!told) {
      broken_ = told.error();
      return told.error();
    }
    digests.resize(shards.chunks().size());
    for (int rank = 0; rank < seat_.ranks(); ++rank) {
      const auto& part = (*told)[static_cast<size_t>(rank)];
      const auto to =
          std::span(digests).subspan(shards.first_chunk(rank), shards.chunks_of(rank).size());
      if (part.size() != to.size_bytes()) {
        return Error{ErrorCode::kInternal,
                     "rank " + std::to_string(rank) + " has told " + std::to_string(part.size()) +
                         " bytes of digests and owns " + std::to_string(to.size()) + " chunks"};
      }
      std::memcpy(to.data(), part.data(), part.size());
    }
  }
  weights_sha256_ = model::checkpoint_sha256(layout_, digests);
  return *weights_sha256_;
}

Result<WorkerReady> LearnerRole::ready() {
  auto hash = weights_sha256();
  if (!hash) return hash.error();
  return WorkerReady{.version = version_,
                     .weights_sha256 = std::move(*hash),
                     .num_parameters = layout_.num_parameters()};
}

// Of the whole minibatch: what this rank learns, and the lengths of the rest.
Result<std::vector<LearnSequence>> LearnerRole::sequences_of(const LearnShare& share) const {
  std::vector<LearnSequence> sequences;
  std::vector<int64_t> lengths;
  for (const SequenceFacts& facts : share.sequences) {
    lengths.push_back(facts.num_tokens);
    if (facts.num_tokens > job_.learner.microbatch_tokens) {
      return not_mine(share, "a sequence of " + std::to_string(facts.num_tokens) + " tokens");
    }
    sequences.push_back({.length_elsewhere = facts.num_tokens});
  }
  std::vector<bool> is_own(lengths.size(), false);
  for (const SequenceToLearn& own : share.own) {
    if (own.index >= sequences.size() || is_own[own.index] ||
        own.tokens.size() != share.sequences[own.index].num_tokens ||
        (share.stage == Stage::kGrpo && own.rollout_logprobs.size() != own.tokens.size())) {
      return not_mine(share, "sequence " + std::to_string(own.index) + " is not as it should be");
    }
    is_own[own.index] = true;
    sequences[own.index] = {.tokens = own.tokens,
                            .loss_mask = own.loss_mask,
                            .rollout_logprobs = own.rollout_logprobs,
                            .advantage = own.advantage,
                            .token_weight = own.token_weight};
  }
  if (is_own != learner_->own_sequences(lengths)) {
    return not_mine(share, "it brings " + std::to_string(share.own.size()) + " of " +
                               std::to_string(lengths.size()) + " sequences, others than its own");
  }
  return sequences;
}

Result<StepLearned> LearnerRole::learn(const LearnShare& share) {
  const Stopwatch learning;
  if (broken_) return *broken_;
  if (number(share.version) != number(version_) + 1) {
    return Error{ErrorCode::kInternal, "asked for step " + std::to_string(number(share.version)) +
                                           " after step " + std::to_string(number(version_))};
  }
  auto batch = sequences_of(share);
  if (!batch) return batch.error();
  if (share.begins_stage) {
    learner_->reset_optimizer();
    learner_->refresh_reference();
  }
  model::StepOptions options{.temperature = 1,
                             .learning_rate = share.learning_rate,
                             .beta1 = job_.optimizer.beta1,
                             .beta2 = job_.optimizer.beta2,
                             .epsilon = job_.optimizer.epsilon,
                             .weight_decay = job_.optimizer.weight_decay,
                             .gradient_clip = job_.optimizer.gradient_clip,
                             .balance_bias_rate = share.balance_bias_rate};
  const bool is_grpo = share.stage == Stage::kGrpo;
  std::vector<std::vector<float>> old_logprobs;
  if (is_grpo) {
    options.temperature = static_cast<float>(job_.rollout.temperature);
    options.grpo = model::GrpoObjective{
        .clip_low = job_.grpo.clip_low,
        .clip_high = job_.grpo.clip_high,
        .kl_coef = job_.grpo.kl_coef,
        .kl_estimator = model::kl_estimator(job_.grpo.kl_estimator),
        .off_policy_correction = model::off_policy_correction(job_.grpo.off_policy_correction),
        .importance_cap = job_.grpo.importance_cap};
    if (Status status = rescore(share.own); !status) return status.error();
    if (has_correction() && share.begins_round) {
      // What is learned now needs no forward of its own: the step's is by the same policy.
      score_later(share.later);
    } else if (has_correction()) {
      auto taken = take_old_logprobs(share.own);
      if (!taken) return taken.error();
      old_logprobs = std::move(*taken);
      for (size_t i = 0; i < share.own.size(); ++i) {
        (*batch)[share.own[i].index].old_logprobs = old_logprobs[i];
      }
    }
  }
  const auto stepped = learner_->step(*batch, options);
  if (!stepped) {
    broken_ = stepped.error();
    return stepped.error();
  }
  const model::StepResult& result = *stepped;
  weights_sha256_.reset();
  if (share.refreshes_reference) learner_->refresh_reference();
  StepLearned learned;
  StepMetrics& metrics = learned.metrics;
  if (is_grpo) {
    add_off_policy_metrics(share.sequences, result.sequences, has_correction(), metrics);
  }
  version_ = share.version;

  metrics.stage = share.stage;
  metrics.version = version_;
  metrics.loss = result.loss;
  metrics.grad_norm = result.gradient_norm;
  metrics.learning_rate = share.learning_rate;
  metrics.was_skipped = result.was_skipped;
  metrics.was_finite = result.was_finite;
  metrics.tokens_learned = result.tokens;
  metrics.expert_load_max_violation = result.expert_load_max_violation;
  metrics.entropy = result.entropy;
  metrics.kl = result.kl;
  metrics.ppo_kl = result.ppo_kl;
  metrics.clip_fraction = result.clip_fraction;
  metrics.ratio_max = result.ratio_max;
  metrics.advantage_abs_mean = share.advantage_abs_mean;
  metrics.learn_seconds = learning.seconds();
  learned.core_seconds = metrics.learn_seconds * threads_.count();
  learned.digest = result.digest;
  return learned;
}

void LearnerRole::score_later(std::span<const SequenceToLearn> later) {
  old_logprobs_.clear();
  std::vector<LearnSequence> sequences;
  for (const SequenceToLearn& one : later) {
    sequences.push_back({.tokens = one.tokens, .loss_mask = one.loss_mask});
  }
  auto scores = learner_->score(sequences, static_cast<float>(job_.rollout.temperature));
  for (size_t i = 0; i < later.size(); ++i) old_logprobs_[later[i].id] = std::move(scores[i]);
}

// In the order of `own`.
Result<std::vector<std::vector<float>>> LearnerRole::take_old_logprobs(
    std::span<const SequenceToLearn> own) {
  std::vector<std::vector<float>> taken;
  for (const SequenceToLearn& one : own) {
    auto found = old_logprobs_.extract(one.id);
    if (found.empty() || found.mapped().size() != one.tokens.size()) {
      return Error{ErrorCode::kInternal,
                   "round " + std::to_string(number(one.id.group.round)) + ", group " +
                       std::to_string(one.id.group.ordinal) + ", sample " +
                       std::to_string(one.id.sample) +
                       ": its log-probabilities at the beginning of the round are not there"};
    }
    taken.push_back(std::move(found.mapped()));
  }
  return taken;
}

// The promise that rollout and learner are one arithmetic, checked on a sample of trajectories.
Status LearnerRole::rescore(std::span<const SequenceToLearn> own) {
  std::vector<const SequenceToLearn*> sampled;
  std::vector<LearnSequence> sequences;
  for (const SequenceToLearn& one : own) {
    if (!one.is_rescored) continue;
    sampled.push_back(&one);
    sequences.push_back({.tokens = one.tokens, .loss_mask = one.loss_mask});
  }
  if (sampled.empty()) return ok();
  const auto scores = learner_->score(sequences, static_cast<float>(job_.rollout.temperature));
  for (size_t i = 0; i < sampled.size(); ++i) {
    const SequenceToLearn& one = *sampled[i];
    for (size_t token = 0; token < one.tokens.size(); ++token) {
      if (std::memcmp(&scores[i][token], &one.rollout_logprobs[token], sizeof(float)) == 0) {
        continue;
      }
      return Error{ErrorCode::kInternal, "rollout and learner disagree: round " +
                                             std::to_string(number(one.id.group.round)) +
                                             ", ordinal " + std::to_string(one.id.group.ordinal) +
                                             ", sample " + std::to_string(one.id.sample) +
                                             ", token " + std::to_string(token) + ": recorded " +
                                             std::to_string(one.rollout_logprobs[token]) +
                                             ", scored " + std::to_string(scores[i][token])};
    }
  }
  return ok();
}

Result<PolicyPublished> LearnerRole::publish(const PublishPolicy& request) {
  if (broken_) return *broken_;
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

Result<PointWritten> LearnerRole::save(const SavePoint& request) {
  const Stopwatch saving;
  if (broken_) return *broken_;
  if (request.version != version_) {
    return Error{ErrorCode::kInternal, "asked for a recovery point of version " +
                                           std::to_string(number(request.version)) +
                                           " at version " + std::to_string(number(version_))};
  }
  auto hash = weights_sha256();
  if (!hash) return hash.error();
  PointWritten written{.version = version_, .weights_sha256 = std::move(*hash)};
  auto part = model::save_point_part(request.folder, seat_.rank(), seat_.ranks(), learner_->shard(),
                                     learner_->state());
  if (!part) return part.error();
  written.files = std::move(*part);
  if (seat_.rank() == 0) {
    auto whole = model::save_point_checkpoint(
        request.folder, {.config = config_, .values = learner_->published(), .text = text_},
        request.policies);
    if (!whole) return whole.error();
    written.policies = std::move(whole->policies);
    written.files.insert(written.files.end(), whole->files.begin(), whole->files.end());
  }
  written.core_seconds = saving.seconds();
  return written;
}

}  // namespace troupe::actors

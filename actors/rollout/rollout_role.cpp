#include "actors/rollout/rollout_role.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "kernels/random.h"
#include "model/formats/checkpoint.h"

namespace troupe::actors {
namespace {

// By sample. The head keeps these in the store and has them from a worker like this one.
Result<std::vector<model::BegunResponse>> begun_responses(const PromptGroup& group,
                                                          int64_t max_response_tokens,
                                                          int64_t vocab_size) {
  std::vector<model::BegunResponse> begun;
  if (group.begun.empty()) return begun;
  begun.resize(group.num_samples);
  for (const ResponseSegment& one : group.begun) {
    const auto size = static_cast<int64_t>(one.tokens.size());
    const bool is_known = std::all_of(one.tokens.begin(), one.tokens.end(), [&](int32_t token) {
      return token >= 0 && token < vocab_size;
    });
    if (one.id.group != group.id || one.id.sample >= group.num_samples || one.begin != 0 ||
        size >= max_response_tokens || one.logprobs.size() != one.tokens.size() || !is_known) {
      return Error{ErrorCode::kInternal, "asked to go on with a response that cannot be: sample " +
                                             std::to_string(one.id.sample) + ", " +
                                             std::to_string(size) + " tokens"};
    }
    begun[one.id.sample] = {one.tokens, one.logprobs};
  }
  return begun;
}

}  // namespace

// A version of the policy that came as a file.
class RolloutRole::OwnWeights {
 public:
  OwnWeights(const kernels::Backend& backend, const model::TransformerConfig& config,
             model::Threads& threads)
      : backend_(backend),
        layout_(config),
        threads_(threads),
        weights_(backend, config, layout_, {}),
        values_(backend, layout_.num_floats()) {
    // Streams for packing only: their workspace holds rows of the widest matrix.
    int64_t width = 1;
    for (const auto& parameter : layout_.by_name()) {
      width = std::max({width, parameter.shape.rows, parameter.shape.cols});
    }
    for (int i = 0; i < threads.count(); ++i) {
      owned_.emplace_back(backend, kernels::Precision::kBf16,
                          kernels::WorkspacePlan{.tokens_max = 32, .width_max = width});
      streams_.push_back(owned_.back().get());
    }
  }

  void publish(PolicyVersion version, const std::vector<float>& values) {
    backend_.upload(streams_[0], values_.get().address, values.data(), layout_.num_floats() * 4);
    weights_.publish(threads_, streams_, values_.get());
    version_ = version;
  }

  const model::PolicyWeights& weights() const { return weights_; }
  std::optional<PolicyVersion> version() const { return version_; }

 private:
  const kernels::Backend& backend_;
  const model::ParameterLayout layout_;
  model::Threads& threads_;
  model::PolicyWeights weights_;
  model::DeviceBuffer<float> values_;
  std::vector<model::OwnedStream> owned_;
  std::vector<kernels::Stream*> streams_;
  std::optional<PolicyVersion> version_{};
};

RolloutRole::RolloutRole(const Lease& lease, const model::TransformerConfig& config,
                         const LearnerRole* learner)
    : learner_(learner), config_(config), threads_(static_cast<int>(lease.rollout_threads)) {}

RolloutRole::~RolloutRole() = default;

Result<std::unique_ptr<RolloutRole>> RolloutRole::create(const kernels::Backend& backend,
                                                         const Lease& lease,
                                                         const LearnerRole* learner) {
  auto config = policy_config(lease.job);
  if (!config) return config.error();
  std::unique_ptr<RolloutRole> role(new RolloutRole(lease, *config, learner));
  auto generator = model::Generator::create(
      backend, role->config_, role->threads_,
      {.cache_bytes = lease.job.rollout.cache_mb << 20,
       .context_max = lease.context_max,
       .sequences_max = std::max<int64_t>(256, lease.job.grpo.group_size)});
  if (!generator) return generator.error();
  role->generator_ = std::move(*generator);
  if (learner == nullptr) {
    role->own_ = std::make_unique<OwnWeights>(backend, role->config_, role->threads_);
  }
  return role;
}

Result<PolicyLoaded> RolloutRole::load(const LoadPolicy& request) {
  if (!own_) return Error{ErrorCode::kInternal, "this worker's policy is its learner's"};
  auto values = model::read_policy_file(request.path, config_);
  if (!values) return values.error();
  const std::string digest = model::checkpoint_sha256(config_, *values);
  if (digest != request.weights_sha256) {
    return Error{ErrorCode::kCorruption, request.path +
                                             ": the weights are not those that were "
                                             "published as version " +
                                             std::to_string(number(request.version))};
  }
  own_->publish(request.version, *values);
  return PolicyLoaded{.version = request.version, .weights_sha256 = digest};
}

Status RolloutRole::generate(const GenerateGroups& request, uint64_t seed,
                             const Follower& follower) {
  const std::optional<PolicyVersion> version =
      own_ ? own_->version() : std::optional(learner_->version());
  if (version != request.version) {
    return Error{ErrorCode::kInternal, "asked to generate with version " +
                                           std::to_string(number(request.version)) +
                                           ", which this worker does not hold"};
  }
  using Clock = std::chrono::steady_clock;
  std::mutex sending;  // Parts of a response are sent in their order.
  std::mutex mutex;
  GroupsGenerated finished;  // Not sent yet.
  auto told_at = Clock::now();
  const auto flush = [&](bool is_last) {
    const std::lock_guard sends(sending);
    GroupsGenerated message;
    {
      const std::lock_guard lock(mutex);
      if (finished.groups.empty() && finished.segments.empty() && !is_last) return;
      message = std::exchange(finished, {});
      const auto now = Clock::now();
      message.core_seconds =
          std::chrono::duration<double>(now - told_at).count() * threads_.count();
      told_at = now;
    }
    message.is_last = is_last;
    follower.send(std::move(message));
  };

  std::vector<model::GroupRequest> requests;
  int64_t total = 0;
  for (const PromptGroup& group : request.groups) {
    const auto stream = group.purpose == GroupPurpose::kTrain ? kernels::StreamId::kSample
                                                              : kernels::StreamId::kEval;
    auto begun = begun_responses(group, request.max_response_tokens, config_.vocab_size);
    if (!begun) return begun.error();
    requests.push_back({.prompt = group.prompt,
                        .num_samples = static_cast<int32_t>(group.num_samples),
                        .key = {.seed = seed,
                                .round = number(group.id.round),
                                .stream = static_cast<uint32_t>(stream),
                                .ordinal = group.id.ordinal},
                        .begun = *std::move(begun)});
    total += group.num_samples;
  }
  bool is_given_up = false;
  Status updated = ok();
  std::vector<PolicyVersion> versions = {request.version};  // After each update.
  const auto versions_of = [&](const model::Response& response) {
    std::vector<VersionRange> ranges;
    for (const model::SampledSpan& span : response.spans) {
      if (!ranges.empty()) ranges.back().end = span.begin;
      ranges.push_back(
          {versions[span.num_updates], span.begin, static_cast<uint32_t>(response.tokens.size())});
    }
    if (ranges.size() == 1 && ranges[0].version == request.version) ranges.clear();
    return ranges;
  };
  generator_->generate(
      own_ ? own_->weights() : learner_->weights(), requests,
      {.temperature = request.temperature,
       .top_p = request.top_p,
       .max_response_tokens = request.max_response_tokens,
       .stop_tokens = request.stop_tokens},
      {.stepped = [&] { flush(/*is_last=*/false); },
       .progressed =
           [&](int64_t done) {
             is_given_up = is_given_up || !follower.progressed(done, total);
             return !is_given_up;
           },
       .group_finished =
           [&](size_t index, std::vector<model::Response> responses) {
             const PromptGroup& from = request.groups[index];
             GeneratedGroup group{
                 .id = from.id, .purpose = from.purpose, .version = request.version};
             for (auto& response : responses) {
               auto ranges = versions_of(response);
               group.responses.push_back({.tokens = std::move(response.tokens),
                                          .logprobs = std::move(response.logprobs),
                                          .finish_reason = response.finish_reason,
                                          .versions = std::move(ranges)});
             }
             const std::lock_guard lock(mutex);
             finished.groups.push_back(std::move(group));
           },
       .segment_tokens = request.segment_tokens,
       .segment_ended =
           [&](size_t index, int32_t sample, const model::Response& so_far) {
             const PromptGroup& from = request.groups[index];
             if (from.purpose != GroupPurpose::kTrain) return;
             const auto begin = static_cast<int64_t>(so_far.tokens.size()) - request.segment_tokens;
             const std::lock_guard lock(mutex);
             finished.segments.push_back(
                 {.id = {from.id, static_cast<uint32_t>(sample)},
                  .begin = static_cast<uint32_t>(begin),
                  .tokens = {so_far.tokens.begin() + begin, so_far.tokens.end()},
                  .logprobs = {so_far.logprobs.begin() + begin, so_far.logprobs.end()}});
           },
       .wants_update = follower.has_next_policy,
       .update =
           [&] {
             updated = follower.take_next_policy();
             is_given_up = is_given_up || !updated;
             versions.push_back(own_ && updated ? *own_->version() : versions.back());
           }});
  if (!updated) return updated;
  if (!is_given_up) flush(/*is_last=*/true);
  return ok();
}

}  // namespace troupe::actors

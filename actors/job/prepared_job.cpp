#include "actors/job/prepared_job.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "actors/verifier/verifier_table.h"
#include "model/formats/checkpoint.h"
#include "model/formats/file.h"
#include "model/formats/hf_config.h"
#include "model/generation/generator.h"
#include "model/parallel/team_layout.h"
#include "schemas/bounds.h"
#include "schemas/envelope_codec.h"
#include "schemas/hash.h"

namespace troupe::actors {
namespace {

constexpr size_t kDataFileBytesMax = size_t{1} << 34;

int64_t physical_memory_bytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

int shared_out(const JobSpec& job, int64_t workers) {
  if (job.resources.threads_per_worker > 0) {
    return static_cast<int>(job.resources.threads_per_worker);
  }
  return std::max(1, available_cores() / static_cast<int>(std::max<int64_t>(1, workers)));
}

// What is sent in one message or kept as one record has bounds.
Status check_sizes(const JobSpec& job, int64_t context_max) {
  if (job.grpo.steps == 0) return ok();
  // Token, mask and log-probability of each token, and a little for each response.
  const int64_t group = job.grpo.group_size * (context_max * 9 + 512);
  // With a correction the round's first step carries its later groups too.
  const bool has_whole_round = job.grpo.off_policy_correction != "none";
  const int64_t groups = has_whole_round
                             ? job.grpo.prompts_per_round
                             : job.grpo.prompts_per_round / job.grpo.minibatches_per_round;
  if (job.grpo.group_size > kGroupTrajectoriesMax || group > static_cast<int64_t>(kGroupBytesMax)) {
    return invalid_argument("grpo.group_size = " + std::to_string(job.grpo.group_size) +
                            " responses of up to " + std::to_string(context_max) +
                            " tokens are too much for one group; lower one of them");
  }
  if (groups > kStepGroupsMax || groups * job.grpo.group_size > kStepSequencesMax ||
      groups * group > static_cast<int64_t>(kPayloadBytesMax)) {
    return invalid_argument(
        "a step would learn from " + std::to_string(groups) + " groups, about " +
        std::to_string(groups * group >> 20) + " MB, which is too much for one; " +
        (has_whole_round ? "lower grpo.prompts_per_round" : "raise grpo.minibatches_per_round"));
  }
  return ok();
}

// Contents only: a folder may be moved.
Result<std::string> hash_data(const JobSpec& job, const std::string& policy_sha256,
                              const model::TransformerConfig& config,
                              const model::PolicyText& policy_text) {
  Sha256 hash;
  const auto add = [&hash](std::string_view text) {
    const auto size = static_cast<uint64_t>(text.size());
    hash.update(std::as_bytes(std::span(&size, 1)));
    hash.update(std::as_bytes(std::span(text.data(), text.size())));
  };
  add(policy_sha256);
  add(model::to_hf_config(config));
  for (const auto& [name, text] : policy_text.files) {
    add(name);
    add(text);
  }
  std::vector<std::string> files;
  if (job.grpo.steps > 0) files.push_back(job.data.train);
  if (job.sft.steps > 0) {
    files.insert(files.end(), job.data.cold_start.begin(), job.data.cold_start.end());
  }
  // The gate decides the history, evaluations do not.
  if (job.sft.gate_pass_at_1 > 0) files.push_back(job.data.held_out);
  for (const auto& path : files) {
    auto text = model::read_file(path, kDataFileBytesMax);
    if (!text) return text.error();
    add(*text);
  }
  return hash.hex();
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

int rollout_threads(const JobSpec& job) { return shared_out(job, job.resources.rollout); }
int learner_threads(const JobSpec& job) { return shared_out(job, job.resources.learner); }
int verifier_threads(const JobSpec& job) { return shared_out(job, verifier_workers(job)); }
int verifier_workers(const JobSpec& job) {
  return job.resources.verifier > 0 ? static_cast<int>(job.resources.verifier) : available_cores();
}

model::Learner::Options learner_options(const JobSpec& job, int64_t context_max) {
  return {.microbatch_tokens = job.learner.microbatch_tokens,
          .context_max = context_max,
          .gradient_lanes = job.learner.gradient_lanes,
          .lane_width = job.learner.lane_width,
          .recomputes = job.learner.recompute_activations,
          .has_reference = job.grpo.steps > 0 && job.grpo.kl_coef != 0};
}

Result<PreparedJob> prepare_job(
    const kernels::Backend& backend, const JobSpec& job,
    const std::optional<std::vector<TrustedProgram>>& trusted_programs) {
  PreparedJob prepared;
  prepared.job = job;
  if (Status status = check_rewards(job.rewards); !status) return status.error();
  const auto team = model::TeamLayout::create(static_cast<int>(job.resources.learner),
                                              job.learner.gradient_lanes, job.learner.lane_width);
  if (!team) return team.error();
  if (trusted_programs) {
    auto trusted = find_trusted_programs(job.rewards, *trusted_programs);
    if (!trusted) return trusted.error();
    prepared.trusted_programs = std::move(*trusted);
  }
  model::PolicyText text;
  std::string policy_sha256;
  if (job.policy.model.empty()) {
    auto config = model::named_config(job.policy.config);
    if (!config) return config.error();
    prepared.config = *config;
  } else {
    auto checkpoint = model::load_checkpoint(job.policy.model);
    if (!checkpoint) return checkpoint.error();
    prepared.config = checkpoint->config;
    policy_sha256 = model::checkpoint_sha256(checkpoint->config, checkpoint->values);
    text = std::move(checkpoint->text);
  }
  const model::TransformerConfig& config = prepared.config;
  auto data = load_job_data(job, text, config);
  if (!data) return data.error();
  prepared.data = std::move(*data);
  for (const auto* prompts : {&prepared.data.train, &prepared.data.held_out}) {
    for (const auto& prompt : *prompts) {
      prepared.context_max =
          std::max(prepared.context_max,
                   static_cast<int64_t>(prompt.tokens.size()) + job.rollout.max_response_tokens);
    }
  }
  for (const auto& part : prepared.data.cold_start) {
    for (const auto& one : part) {
      prepared.context_max =
          std::max(prepared.context_max, static_cast<int64_t>(one.tokens.size()));
    }
  }
  if (prepared.context_max > config.max_position_embeddings) {
    return invalid_argument(
        "prompt and response together may have " + std::to_string(prepared.context_max) +
        " tokens, the model's limit is " + std::to_string(config.max_position_embeddings));
  }
  if (prepared.context_max > job.learner.microbatch_tokens) {
    return invalid_argument(
        "learner.microbatch_tokens = " + std::to_string(job.learner.microbatch_tokens) +
        " is smaller than one sequence of up to " + std::to_string(prepared.context_max) +
        " tokens");
  }
  const model::ParameterLayout layout(config);
  if (Status s = check_sizes(job, prepared.context_max); !s) return s.error();
  const int64_t of_a_rank =
      model::Learner::memory_bytes(backend, config, layout, learner_threads(job), *team,
                                   learner_options(job, prepared.context_max));
  const int64_t needed =
      team->ranks() * of_a_rank + job.resources.rollout * (job.rollout.cache_mb << 20);
  if (needed > physical_memory_bytes()) {
    return invalid_argument(
        "the job needs about " + std::to_string(needed >> 20) + " MB of memory, this machine has " +
        std::to_string(physical_memory_bytes() >> 20) +
        " MB; lower learner.microbatch_tokens, learner.gradient_lanes or rollout.cache_mb, or set "
        "learner.recompute_activations");
  }
  const model::Generator::Options generator{.cache_bytes = job.rollout.cache_mb << 20,
                                            .context_max = prepared.context_max};
  if (Status s = model::Generator::check(config, rollout_threads(job), generator); !s) {
    return s.error();
  }
  auto digest = hash_data(job, policy_sha256, config, text);
  if (!digest) return digest.error();
  prepared.data_sha256 = std::move(*digest);
  return prepared;
}

}  // namespace troupe::actors

#include "cluster/cli/policy_speed.h"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <optional>

#include "kernels/random.h"
#include "model/generation/generator.h"
#include "model/training/learner.h"
#include "model/transformer/initialise.h"

namespace troupe::cluster {
namespace {

constexpr int kRuns = 5;
constexpr int64_t kPromptTokens = 10, kResponseTokens = 18, kGeneratedTokens = 32;
constexpr int32_t kPrompts = 64, kGroupSize = 8;

// Multiply-adds count as two. Products that every token meets, the head included.
double forward_flops(const model::TransformerConfig& c) {
  const int64_t D = c.hidden_size, H = c.num_attention_heads, R = c.kv_lora_rank;
  const int64_t queries = H * c.qk_head_dim();
  const int64_t attention =
      (c.q_lora_rank > 0 ? D * c.q_lora_rank + c.q_lora_rank * queries : D * queries) +
      D * (R + c.qk_rope_head_dim) + H * R * (c.qk_nope_head_dim + c.v_head_dim) +
      H * c.v_head_dim * D;
  int64_t total = c.num_hidden_layers * attention + D * c.vocab_size;
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    total += c.is_dense(layer)
                 ? 3 * D * c.intermediate_size
                 : D * c.n_routed_experts + 3 * D * c.moe_intermediate_size *
                                                (c.num_experts_per_tok + c.n_shared_experts);
  }
  return 2.0 * static_cast<double>(total);
}

std::vector<int32_t> random_tokens(uint64_t index, int64_t count) {
  kernels::RandomStream stream(1, kernels::StreamId::kEval, index);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(stream.below(256)));
  return tokens;
}

// Runs work() once to warm up, kRuns times, then once more on a measured table.
void measure(PolicySpeed& speed, double tokens, int num_threads, const std::function<void()>& work,
             const std::function<void()>& profiled_work) {
  work();
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    speed.tokens_per_second.push_back(tokens / seconds);
  }
  const auto start = std::chrono::steady_clock::now();
  profiled_work();
  speed.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() * num_threads;
  speed.operations = kernels::operation_times();
}

// A fresh policy with everything that generating and learning need, on one table.
struct Policy {
  Policy(const kernels::Backend& table, const model::TransformerConfig& config, int num_threads)
      : layout(config),
        threads(num_threads),
        learner(table, config, layout, threads,
                model::initial_parameters(config, layout, /*seed=*/1),
                {.microbatch_tokens = 256, .context_max = 64, .gradient_lanes = 4}) {}

  model::ParameterLayout layout;
  model::Threads threads;
  model::Learner learner;
};

}  // namespace

Result<PolicySpeed> measure_decode(const kernels::Backend& backend, std::string_view name,
                                   int num_threads) {
  auto config = model::named_config(name);
  if (!config) return config.error();
  std::vector<model::GroupRequest> requests;
  for (int32_t i = 0; i < kPrompts; ++i) {
    requests.push_back({.prompt = random_tokens(static_cast<uint64_t>(i), kPromptTokens),
                        .num_samples = kGroupSize,
                        .key = {.seed = 1,
                                .stream = static_cast<uint32_t>(kernels::StreamId::kEval),
                                .ordinal = static_cast<uint32_t>(i)}});
  }
  PolicySpeed speed;
  speed.shape = fmt::format("{}x{} samples, {} tokens", kPrompts, kGroupSize, kGeneratedTokens);
  speed.flops_per_token = forward_flops(*config);
  const auto generate_with = [&](const kernels::Backend& table) -> Result<std::function<void()>> {
    auto policy = std::make_shared<Policy>(table, *config, num_threads);
    auto generator = model::Generator::create(table, *config, policy->threads,
                                              {.cache_bytes = 256 << 20, .context_max = 64});
    if (!generator) return generator.error();
    std::shared_ptr<model::Generator> shared = std::move(*generator);
    return std::function<void()>([policy, shared, &requests] {
      shared->generate(policy->learner.weights(), requests,
                       {.max_response_tokens = kGeneratedTokens});
    });
  };
  auto plain = generate_with(backend);
  if (!plain) return plain.error();
  const kernels::Backend table = kernels::profiled(backend);
  auto measured = generate_with(table);
  if (!measured) return measured.error();
  measure(speed, static_cast<double>(kPrompts * kGroupSize * kGeneratedTokens), num_threads, *plain,
          [&] {
            static_cast<void>(kernels::profiled(backend));
            (*measured)();
          });
  return speed;
}

Result<PolicySpeed> measure_train(const kernels::Backend& backend, std::string_view name,
                                  int num_threads) {
  auto config = model::named_config(name);
  if (!config) return config.error();
  const int64_t length = kPromptTokens + kResponseTokens;
  std::vector<std::vector<int32_t>> tokens;
  std::vector<uint8_t> mask(static_cast<size_t>(length), 0);
  std::fill(mask.begin() + kPromptTokens, mask.end(), uint8_t{1});
  const std::vector<float> logprobs(static_cast<size_t>(length), -5.0f);
  std::vector<model::LearnSequence> minibatch;
  constexpr int64_t kSequences = int64_t{kPrompts} * kGroupSize;
  for (int64_t i = 0; i < kSequences; ++i) {
    tokens.push_back(random_tokens(static_cast<uint64_t>(i), length));
  }
  for (int64_t i = 0; i < kSequences; ++i) {
    minibatch.push_back({.tokens = tokens[static_cast<size_t>(i)],
                         .loss_mask = mask,
                         .rollout_logprobs = logprobs,
                         .advantage = i % 2 == 0 ? 1.0 : -1.0,
                         .token_weight = 1.0 / static_cast<double>(kSequences * kResponseTokens)});
  }
  const model::StepOptions options{.grpo = model::GrpoObjective{}, .learning_rate = 1e-5};
  PolicySpeed speed;
  speed.shape = fmt::format("{} sequences of {}", kSequences, length);
  speed.flops_per_token = 3 * forward_flops(*config);
  Policy plain(backend, *config, num_threads);
  const kernels::Backend table = kernels::profiled(backend);
  Policy measured(table, *config, num_threads);
  measure(
      speed, static_cast<double>(kSequences * length), num_threads,
      [&] { plain.learner.step(minibatch, options); },
      [&] {
        static_cast<void>(kernels::profiled(backend));
        measured.learner.step(minibatch, options);
      });
  return speed;
}

}  // namespace troupe::cluster

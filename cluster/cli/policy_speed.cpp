#include "cluster/cli/policy_speed.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "kernels/random.h"
#include "model/transformer/initialise.h"
#include "model/transformer/transformer.h"

namespace troupe::cluster {

using kernels::kBlockTokens;

model::TransformerConfig bench_config(std::string_view name) {
  model::TransformerConfig c;
  c.vocab_size = 8192;
  c.hidden_size = 512;
  c.num_hidden_layers = 8;
  c.intermediate_size = 1408;
  c.num_attention_heads = 8;
  c.max_position_embeddings = 8192;
  if (name == "bench-llama") {
    c.family = model::Family::kLlama;
    c.first_k_dense_replace = c.num_hidden_layers;
    c.num_key_value_heads = 8;
    c.head_dim = 64;
    return c;
  }
  if (name == "bench-135m") {
    c.family = model::Family::kLlama;
    c.vocab_size = 49152;
    c.hidden_size = 576;
    c.num_hidden_layers = c.first_k_dense_replace = 30;
    c.intermediate_size = 1536;
    c.num_attention_heads = 9;
    c.num_key_value_heads = 3;
    c.head_dim = 64;
    c.tie_word_embeddings = true;
    return c;
  }
  TROUPE_CHECK(name == "bench-moe");
  c.family = model::Family::kDeepseekV3;
  c.first_k_dense_replace = 1;
  c.moe_intermediate_size = 128;
  c.n_routed_experts = 16;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 4;
  c.q_lora_rank = 256;
  c.kv_lora_rank = 128;
  c.qk_nope_head_dim = 64;
  c.qk_rope_head_dim = 32;
  c.v_head_dim = 64;
  return c;
}

namespace {

constexpr int64_t kPrefillTokens = 512;
// A GRPO step: fewer and shorter sequences for a policy of many weights.
struct TrainCase {
  int64_t sequences, tokens, prompt_tokens;
};
TrainCase train_case(const model::TransformerConfig& c) {
  return c.vocab_size > 8192 ? TrainCase{16, 96, 32} : TrainCase{32, 256, 64};
}
constexpr int64_t kMicrobatchTokens = 1024;

// Weights that every token meets, and those of one routed expert in all layers that have them.
struct WeightCounts {
  double shared = 0;
  double expert = 0;
};
WeightCounts count_weights(const model::TransformerConfig& c) {
  WeightCounts counts;
  for (const auto& tensor : model::parameters(c)) {
    const bool is_embedding = tensor.name == "model.embed_tokens.weight";
    if (!tensor.is_matrix() || (is_embedding && !c.tie_word_embeddings)) continue;
    const bool is_routed = tensor.name.find(".experts.") != std::string::npos;
    (is_routed ? counts.expert : counts.shared) += static_cast<double>(tensor.size());
  }
  if (c.n_routed_experts > 0) counts.expert /= static_cast<double>(c.n_routed_experts);
  return counts;
}

// Multiply-adds count as two: the products of a token, and its scores and sums over `context`.
double forward_flops(const model::TransformerConfig& c, double context) {
  const WeightCounts weights = count_weights(c);
  const kernels::CacheRow row = model::cache_row(c);
  const auto pairs = static_cast<double>(c.num_hidden_layers * c.num_attention_heads) * context;
  return 2 * (weights.shared + weights.expert * static_cast<double>(c.num_experts_per_tok) +
              pairs * static_cast<double>(row.key_width + row.value_width));
}

// Of the weights that a batch of so many tokens is expected to meet, when all experts are as
// likely.
double weight_bytes(const model::TransformerConfig& c, double tokens) {
  const WeightCounts weights = count_weights(c);
  double bytes = 2 * weights.shared;
  if (c.n_routed_experts > 0) {
    const auto E = static_cast<double>(c.n_routed_experts);
    const double is_missed = std::pow(1 - static_cast<double>(c.num_experts_per_tok) / E, tokens);
    bytes += 2 * weights.expert * E * (1 - is_missed);
  }
  return bytes;
}

double cache_bytes(const model::TransformerConfig& c, int64_t tokens) {
  return 2.0 * static_cast<double>(c.num_hidden_layers * model::cache_row(c).width * tokens);
}

std::vector<int32_t> random_tokens(uint64_t index, int64_t count, int64_t vocabulary) {
  kernels::RandomStream stream(1, kernels::StreamId::kEval, index);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>(stream.below(static_cast<uint64_t>(vocabulary))));
  }
  return tokens;
}

}  // namespace

// One thread's batch of sequences of `context` tokens, of which the last `num_queries` are computed
// on a cache that holds anything before them. Blocks lie as sequences that grow side by side get
// them from a pool.
class PolicyBench::Forward {
 public:
  Forward(const kernels::Backend& backend, const model::TransformerConfig& config, int64_t batch,
          int64_t context, int64_t num_queries)
      : backend_(backend),
        vocab_size_(config.vocab_size),
        transformer_(
            backend, config,
            {.tokens_max = batch * num_queries, .logits_max = batch, .context_max = context}),
        blocks_((context + kBlockTokens - 1) / kBlockTokens),
        layer_stride_(batch * blocks_ * kBlockTokens * model::cache_row(config).width),
        cache_(backend, config.num_hidden_layers * layer_stride_),
        ints_(backend, 3 * batch * num_queries + batch * (blocks_ + 4) + 1),
        keys_(backend, batch),
        sampled_(backend, batch),
        logprobs_(backend, batch) {
    std::vector<uint16_t> values(1 << 16);
    kernels::RandomStream random(1, kernels::StreamId::kInit);
    for (uint16_t& value : values) value = static_cast<uint16_t>(0x3d00 + random.below(0x300));
    for (int64_t i = 0; i < cache_.count(); i += static_cast<int64_t>(values.size())) {
      const int64_t count = std::min(cache_.count() - i, static_cast<int64_t>(values.size()));
      backend.upload(stream(), (cache_.get() + i).address, values.data(), count * 2);
    }
    std::vector<int32_t> position, slot, logit_rows, query_offset{0}, contexts, table;
    std::vector<kernels::SampleKey> keys;
    for (int64_t s = 0; s < batch; ++s) {
      const auto block_at = [&](int64_t b) { return (b * batch + s) * kBlockTokens; };
      for (int64_t t = context - num_queries; t < context; ++t) {
        position.push_back(static_cast<int32_t>(t));
        slot.push_back(static_cast<int32_t>(block_at(t / kBlockTokens) + t % kBlockTokens));
      }
      for (int64_t b = 0; b < blocks_; ++b) table.push_back(static_cast<int32_t>(block_at(b)));
      query_offset.push_back(static_cast<int32_t>(position.size()));
      logit_rows.push_back(static_cast<int32_t>(position.size()) - 1);
      contexts.push_back(static_cast<int32_t>(context));
      keys.push_back({.seed = 1, .ordinal = static_cast<uint32_t>(s)});
    }
    batch_ = {.N = batch * num_queries,
              .token = send(random_tokens(0, batch * num_queries, vocab_size_)),
              .position = send(position),
              .slot = send(slot),
              .sequences = {.query_offset = send(query_offset),
                            .context = send(contexts),
                            .block_table = send(table),
                            .S = batch,
                            .blocks_max = blocks_,
                            .context_max = context},
              .num_logits = batch,
              .logit_rows = send(logit_rows)};
    backend.upload(stream(), keys_.get().address, keys.data(),
                   batch * static_cast<int64_t>(sizeof(kernels::SampleKey)));
  }

  // What was sampled is what is computed next, where one token per sequence is.
  void step(const model::PolicyWeights& weights) {
    transformer_.forward(weights, batch_, {{cache_.get().address, 2}, layer_stride_});
    backend_.sample(stream(), {.token = sampled_.get(),
                               .logprob = logprobs_.get(),
                               .logit = transformer_.logits(),
                               .key = keys_.get(),
                               .N = batch_.num_logits,
                               .V = vocab_size_,
                               .temperature = 1,
                               .top_p = 1});
    if (batch_.N == batch_.num_logits) {
      backend_.copy(stream(), batch_.token.address, sampled_.get().address, batch_.N * 4);
    }
  }

 private:
  kernels::Stream* stream() const { return transformer_.stream(); }
  kernels::Device<int32_t> send(const std::vector<int32_t>& values) {
    const auto count = static_cast<int64_t>(values.size());
    TROUPE_CHECK(used_ + count <= ints_.count());
    const kernels::Device<int32_t> to = ints_.get() + used_;
    backend_.upload(stream(), to.address, values.data(), count * 4);
    used_ += count;
    return to;
  }

  const kernels::Backend& backend_;
  int64_t vocab_size_;
  model::Transformer transformer_;
  int64_t blocks_;
  int64_t layer_stride_;
  model::DeviceBuffer<uint16_t> cache_;
  model::DeviceBuffer<int32_t> ints_;
  int64_t used_ = 0;
  model::DeviceBuffer<kernels::SampleKey> keys_;
  model::DeviceBuffer<int32_t> sampled_;
  model::DeviceBuffer<float> logprobs_;
  model::TokenBatch batch_{};
};

PolicyBench::PolicyBench(const kernels::Backend& backend, std::string_view config, int num_threads)
    : PolicyBench(backend, bench_config(config), num_threads) {}

PolicyBench::PolicyBench(const kernels::Backend& backend, const model::TransformerConfig& config,
                         int num_threads)
    : backend_(backend),
      table_(backend),
      config_(config),
      layout_(config_),
      threads_(num_threads),
      initial_(model::initial_parameters(config_, layout_, /*seed=*/1)) {}

void PolicyBench::measure(PolicySpeed& speed, double tokens, const std::function<void()>& work) {
  constexpr size_t kRunsMin = 3, kRunsMax = 25;
  constexpr double kSecondsMin = 0.8;
  const auto seconds_of = [&] {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  seconds_of();
  double total = 0;
  while (speed.tokens_per_second.size() < kRunsMin ||
         (speed.tokens_per_second.size() < kRunsMax && total < kSecondsMin)) {
    const double seconds = seconds_of();
    total += seconds;
    speed.tokens_per_second.push_back(tokens / seconds);
  }
  table_ = kernels::profiled(backend_);
  speed.seconds = seconds_of() * threads_.count();
  speed.operations = kernels::operation_times();
  table_ = backend_;
}

PolicySpeed PolicyBench::forwards(int64_t batch, int64_t context, int64_t num_queries) {
  const auto num_threads = static_cast<int64_t>(threads_.count());
  if (!weights_) {
    weights_ = std::make_unique<model::PolicyWeights>(table_, config_, layout_,
                                                      model::PolicyWeights::Options{});
    const model::DeviceBuffer<float> masters(table_, layout_.num_floats());
    const kernels::WorkspacePlan plan{.tokens_max = 16, .width_max = config_.vocab_size};
    std::vector<model::OwnedStream> owned;
    std::vector<kernels::Stream*> streams;
    for (int64_t i = 0; i < num_threads; ++i) {
      owned.emplace_back(table_, kernels::Precision::kBf16, plan);
      streams.push_back(owned.back().get());
    }
    table_.upload(streams[0], masters.get().address, initial_.data(), layout_.num_floats() * 4);
    weights_->publish(threads_, streams, masters.get());
  }
  std::vector<std::unique_ptr<Forward>> cases;
  for (int64_t i = 0; i < num_threads; ++i) {
    cases.push_back(std::make_unique<Forward>(table_, config_, batch, context, num_queries));
  }
  // A run of many steps, because threads begin and end one together.
  constexpr int64_t kTokensOfRun = 256;
  const int64_t tokens = batch * num_queries;
  const int64_t steps = std::max<int64_t>(1, kTokensOfRun / tokens);
  PolicySpeed speed;
  const auto seen = static_cast<double>(context - num_queries) +
                    static_cast<double>(num_queries + 1) / 2;  // By the average query.
  speed.flops_per_token = forward_flops(config_, seen);
  // The head is for the sampled tokens only.
  speed.flops_per_token -= 2 * static_cast<double>(config_.vocab_size * config_.hidden_size) *
                           static_cast<double>(num_queries - 1) / static_cast<double>(num_queries);
  speed.working_set_bytes =
      weight_bytes(config_, static_cast<double>(tokens)) + cache_bytes(config_, batch * context);
  speed.bytes_per_token = speed.working_set_bytes / static_cast<double>(tokens);
  measure(speed, static_cast<double>(tokens * steps * num_threads), [&] {
    threads_.run(num_threads, [&](int64_t index, int) {
      for (int64_t i = 0; i < steps; ++i) cases[static_cast<size_t>(index)]->step(*weights_);
    });
  });
  return speed;
}

bool PolicyBench::has_memory_for(int64_t batch, int64_t context) const {
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  return cache_bytes(config_, batch * context) * threads_.count() < memory / 2;
}

PolicySpeed PolicyBench::decode(int64_t batch, int64_t context) {
  PolicySpeed speed = forwards(batch, context, 1);
  speed.shape = fmt::format("{} sequences, context {}", batch, context);
  return speed;
}

PolicySpeed PolicyBench::prefill() {
  PolicySpeed speed = forwards(1, kPrefillTokens, kPrefillTokens);
  speed.shape = fmt::format("a prompt of {}", kPrefillTokens);
  return speed;
}

PolicySpeed PolicyBench::train() {
  const auto [num_sequences, num_tokens, prompt_tokens] = train_case(config_);
  const auto length = static_cast<size_t>(num_tokens);
  std::vector<std::vector<int32_t>> tokens;
  std::vector<uint8_t> mask(length, 0);
  std::fill(mask.begin() + prompt_tokens, mask.end(), uint8_t{1});
  const std::vector<float> logprobs(length, -9.0f);
  for (int64_t i = 0; i < num_sequences; ++i) {
    tokens.push_back(random_tokens(static_cast<uint64_t>(i), num_tokens, config_.vocab_size));
  }
  std::vector<model::LearnSequence> minibatch;
  const int64_t learned = num_sequences * (num_tokens - prompt_tokens);
  for (int64_t i = 0; i < num_sequences; ++i) {
    minibatch.push_back({.tokens = tokens[static_cast<size_t>(i)],
                         .loss_mask = mask,
                         .rollout_logprobs = logprobs,
                         .advantage = i % 2 == 0 ? 1.0 : -1.0,
                         .token_weight = 1.0 / static_cast<double>(learned)});
  }
  model::Learner learner(
      table_, config_, layout_, threads_, initial_,
      {.microbatch_tokens = kMicrobatchTokens, .context_max = num_tokens, .gradient_lanes = 2});
  const model::StepOptions options{.grpo = model::GrpoObjective{}, .learning_rate = 1e-5};
  PolicySpeed speed;
  speed.shape = fmt::format("{} sequences of {}", num_sequences, num_tokens);
  // Backward is the products of forward twice, once for each operand. AdamW reads four numbers of
  // each weight and writes three.
  speed.flops_per_token = 3 * forward_flops(config_, static_cast<double>(num_tokens + 1) / 2);
  speed.working_set_bytes = 28.0 * static_cast<double>(layout_.num_floats());
  const auto all_tokens = static_cast<double>(num_sequences * num_tokens);
  speed.bytes_per_token = speed.working_set_bytes / all_tokens;
  measure(speed, all_tokens, [&] { TROUPE_CHECK(learner.step(minibatch, options)); });
  return speed;
}

}  // namespace troupe::cluster

// Policies small enough that a test can train them in milliseconds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/transformer/initialise.h"
#include "model/transformer/parameter_layout.h"
#include "schemas/hash.h"

namespace troupe::tests {

// A dense layer and a layer of experts, vocabulary 48.
inline model::TransformerConfig tiny_config() {
  model::TransformerConfig c;
  c.vocab_size = 48;
  c.hidden_size = 32;
  c.num_hidden_layers = 2;
  c.first_k_dense_replace = 1;
  c.intermediate_size = 48;
  c.moe_intermediate_size = 16;
  c.n_routed_experts = 4;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 2;
  c.num_attention_heads = 2;
  c.kv_lora_rank = 16;
  c.qk_nope_head_dim = 16;
  c.qk_rope_head_dim = 16;
  c.v_head_dim = 16;
  c.max_position_embeddings = 256;
  c.bos_token_id = 0;
  c.eos_token_id = 1;
  return c;
}

// The family around it: each has something in its attention or its router that the others lack.
inline model::TransformerConfig tiny_config(model::Family family) {
  using model::Family;
  model::TransformerConfig c = tiny_config();
  c.family = family;
  if (family == Family::kDeepseekV3) return c;
  if (family == Family::kDeepseekV2) {
    c.n_group = 2;
    c.topk_group = 1;
    c.norm_topk_prob = false;
    c.routed_scaling_factor = 2;
    c.rope_scaling = {.kind = model::RopeScaling::Kind::kYarn,
                      .factor = 4,
                      .original_max_position_embeddings = 32,
                      .mscale = 0.7,
                      .mscale_all_dim = 0.7};
    return c;
  }
  c.kv_lora_rank = c.qk_nope_head_dim = c.qk_rope_head_dim = c.v_head_dim = 0;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 24;
  c.n_shared_experts = 0;
  c.first_k_dense_replace = 0;
  if (family == Family::kMixtral) c.intermediate_size = 0;  // It has no dense layers.
  if (family == Family::kLlama || family == Family::kMistral || family == Family::kQwen2 ||
      family == Family::kQwen3) {
    c.first_k_dense_replace = c.num_hidden_layers;
    c.n_routed_experts = c.num_experts_per_tok = c.moe_intermediate_size = 0;
    c.tie_word_embeddings = family == Family::kQwen2;
  }
  if (family == Family::kLlama) {
    c.rope_scaling = {.kind = model::RopeScaling::Kind::kLlama3,
                      .factor = 8,
                      .original_max_position_embeddings = 64};
  }
  return c;
}

inline constexpr model::Family kFamilies[] = {
    model::Family::kDeepseekV3, model::Family::kDeepseekV2, model::Family::kLlama,
    model::Family::kMistral,    model::Family::kQwen2,      model::Family::kQwen3,
    model::Family::kQwen3Moe,   model::Family::kMixtral};

// Initial weights, with a head so much larger that some tokens are likelier than others.
inline std::vector<float> lively_parameters(const model::TransformerConfig& config,
                                            const model::ParameterLayout& layout, uint64_t seed,
                                            float head_scale = 6) {
  auto values = model::initial_parameters(config, layout, seed);
  if (config.tie_word_embeddings) return values;
  const int64_t head = layout.offset("lm_head.weight");
  for (int64_t i = 0; i < config.vocab_size * config.hidden_size; ++i) {
    values[static_cast<size_t>(head + i)] *= head_scale;
  }
  return values;
}

// Of the bytes, for comparing whole sets of weights.
inline std::string digest(std::span<const float> values) {
  return sha256_hex(std::as_bytes(values));
}

}  // namespace troupe::tests

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

// Initial weights, with a head so much larger that some tokens are likelier than others.
inline std::vector<float> lively_parameters(const model::TransformerConfig& config,
                                            const model::ParameterLayout& layout, uint64_t seed,
                                            float head_scale = 6) {
  auto values = model::initial_parameters(config, layout, seed);
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

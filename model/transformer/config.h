// The architecture: DeepSeek-V3's, in the field names of its config.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

struct TransformerConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t first_k_dense_replace = 0;  // The first so many layers are dense.
  int64_t intermediate_size = 0;      // Of a dense layer.
  int64_t moe_intermediate_size = 0;  // Of one expert.
  int64_t n_routed_experts = 0;
  int64_t n_shared_experts = 0;  // One SwiGLU of n_shared_experts * moe_intermediate_size.
  int64_t num_experts_per_tok = 0;
  int64_t n_group = 1;
  int64_t topk_group = 1;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1.0;
  int64_t num_attention_heads = 0;
  int64_t q_lora_rank = 0;  // 0: queries are projected directly (null in config.json).
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  int64_t max_position_embeddings = 0;
  int32_t bos_token_id = 0;
  int32_t eos_token_id = 0;

  bool is_dense(int64_t layer) const { return layer < first_k_dense_replace; }
  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  bool operator==(const TransformerConfig&) const = default;
};

// kInvalidArgument, naming the field, when the sizes are not a model this program can run: every
// size positive and bounded, ropes even, top-k within the kept groups.
Status validate(const TransformerConfig& config);

// "tiny-moe" (about 0.75 M parameters) and "small-moe" (about ten times that), for the byte
// tokenizer. kInvalidArgument for any other name, listing those there are.
Result<TransformerConfig> named_config(std::string_view name);

// A parameter by its Hugging Face name, and the shape that the file has: (rows, cols), cols 0 for
// vectors.
struct TensorShape {
  std::string name{};
  int64_t rows = 0;
  int64_t cols = 0;
  bool is_float32 = false;  // e_score_correction_bias; everything else is published as bf16.

  int64_t size() const { return rows * (cols == 0 ? 1 : cols); }
  bool is_matrix() const { return cols != 0; }
};

// All parameters in byte order of their names.
std::vector<TensorShape> parameters(const TransformerConfig& config);

}  // namespace troupe::model

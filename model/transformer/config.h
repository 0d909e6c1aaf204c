// The architecture, in the field names of config.json: DeepSeek-V3's, and the family around it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

// Which model's config.json and tensor names these are.
enum class Family : uint8_t {
  kDeepseekV3,
  kDeepseekV2,
  kLlama,
  kMistral,
  kQwen2,
  kQwen3,
  kQwen3Moe,
  kMixtral,
};

// How the angles of rotary embeddings are stretched for contexts longer than the pre-trained one.
struct RopeScaling {
  enum class Kind : uint8_t { kNone, kLinear, kLlama3, kYarn };
  Kind kind = Kind::kNone;
  double factor = 1;
  double original_max_position_embeddings = 0;  // llama3, yarn
  double low_freq_factor = 1;                   // llama3
  double high_freq_factor = 4;                  // llama3
  double beta_fast = 32;                        // yarn
  double beta_slow = 1;                         // yarn
  double mscale = 0;                            // yarn; 0: not given
  double mscale_all_dim = 0;                    // yarn; 0: not given
  double attention_factor = 0;                  // yarn; 0: follows from the two above

  bool operator==(const RopeScaling&) const = default;
};

struct TransformerConfig {
  Family family = Family::kDeepseekV3;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t first_k_dense_replace = 0;  // The first so many layers are dense; all, without experts.
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
  // Latent attention (DeepSeek) ...
  int64_t q_lora_rank = 0;  // 0: queries are projected directly (null in config.json).
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  // ... or groups of heads that share keys and values.
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling{};
  int64_t max_position_embeddings = 0;
  bool tie_word_embeddings = false;  // The head is the embedding.
  int32_t bos_token_id = 0;          // -1: there is none.
  int32_t eos_token_id = 0;          // Likewise.
  // A model may end its turn in several ways, each of which ends generation.
  std::vector<int32_t> more_eos_token_ids{};

  // All of them, eos_token_id first; empty when there is none.
  std::vector<int32_t> eos_token_ids() const;
  bool is_latent() const { return family == Family::kDeepseekV3 || family == Family::kDeepseekV2; }
  bool is_dense(int64_t layer) const { return layer < first_k_dense_replace; }
  bool has_experts() const { return first_k_dense_replace < num_hidden_layers; }
  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  // Of all heads together: rows of the query projection, columns of the output projection.
  int64_t query_width() const {
    return num_attention_heads * (is_latent() ? qk_head_dim() : head_dim);
  }
  int64_t attended_width() const {
    return num_attention_heads * (is_latent() ? v_head_dim : head_dim);
  }
  int64_t rotated_dim() const { return is_latent() ? qk_rope_head_dim : head_dim; }
  // The variants that go with a family.
  bool has_qkv_bias() const { return family == Family::kQwen2; }
  bool has_qk_norm() const { return family == Family::kQwen3 || family == Family::kQwen3Moe; }
  bool has_router_bias() const { return family == Family::kDeepseekV3; }
  bool has_softmax_router() const { return family != Family::kDeepseekV3; }
  bool operator==(const TransformerConfig&) const = default;
};

// kInvalidArgument, naming the field, when the sizes are not a model this program can run: every
// size positive and bounded, ropes even and stretched by sane factors, top-k within the kept
// groups.
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

// Names of the parameters that a family calls differently.
struct ParameterNames {
  std::string router{};                                   // After "model.layers.N.".
  std::string experts{};                                  // Likewise; the number follows.
  std::string expert_gate{}, expert_up{}, expert_down{};  // After the number.
};
ParameterNames parameter_names(Family family);

}  // namespace troupe::model

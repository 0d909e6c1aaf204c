#include "model/transformer/config.h"

#include <algorithm>

namespace troupe::model {
namespace {

constexpr int64_t kSizeMax = 1 << 20;  // No width, count or vocabulary is larger.
constexpr int64_t kRotatedMax = 512;

Error refuse(const char* field, int64_t value, const char* rule) {
  return invalid_argument("model configuration: " + std::string(field) + " = " +
                          std::to_string(value) + " " + rule);
}

Status validate_latent(const TransformerConfig& c) {
  const std::pair<const char*, int64_t> positive[] = {{"kv_lora_rank", c.kv_lora_rank},
                                                      {"qk_nope_head_dim", c.qk_nope_head_dim},
                                                      {"qk_rope_head_dim", c.qk_rope_head_dim},
                                                      {"v_head_dim", c.v_head_dim}};
  for (const auto& [field, value] : positive) {
    if (value < 1 || value > kSizeMax) return refuse(field, value, "must be in 1 .. 1048576");
  }
  if (c.q_lora_rank < 0 || c.q_lora_rank > kSizeMax) {
    return refuse("q_lora_rank", c.q_lora_rank, "must be null or in 1 .. 1048576");
  }
  if (c.qk_rope_head_dim % 2 != 0 || c.qk_rope_head_dim > kRotatedMax) {
    return refuse("qk_rope_head_dim", c.qk_rope_head_dim, "must be even and at most 512");
  }
  return ok();
}

Status validate_grouped(const TransformerConfig& c) {
  if (c.head_dim < 2 || c.head_dim % 2 != 0 || c.head_dim > kRotatedMax) {
    return refuse("head_dim", c.head_dim, "must be even and at most 512");
  }
  if (c.num_key_value_heads < 1 || c.num_attention_heads % c.num_key_value_heads != 0) {
    return refuse("num_key_value_heads", c.num_key_value_heads, "must divide num_attention_heads");
  }
  return ok();
}

Status validate_rope(const RopeScaling& scaling) {
  using Kind = RopeScaling::Kind;
  if (scaling.kind == Kind::kNone) return ok();
  const auto refuse = [](const char* field, double value, const char* rule) {
    return invalid_argument("model configuration: rope_scaling." + std::string(field) + " = " +
                            std::to_string(value) + " " + rule);
  };
  // Written so that what is not a number is refused too.
  if (!(scaling.factor >= 1 && scaling.factor <= 1e6)) {
    return refuse("factor", scaling.factor, "must be in 1 .. 1000000");
  }
  if (scaling.kind == Kind::kLinear) return ok();
  if (!(scaling.original_max_position_embeddings >= 1 &&
        scaling.original_max_position_embeddings <= kSizeMax)) {
    return refuse("original_max_position_embeddings", scaling.original_max_position_embeddings,
                  "must be in 1 .. 1048576");
  }
  if (scaling.kind == Kind::kLlama3) {
    if (!(scaling.low_freq_factor > 0 && scaling.high_freq_factor > scaling.low_freq_factor &&
          scaling.high_freq_factor <= 1e6)) {
      return refuse("high_freq_factor", scaling.high_freq_factor,
                    "must be above low_freq_factor, and that above 0");
    }
    return ok();
  }
  if (!(scaling.beta_slow > 0 && scaling.beta_fast >= scaling.beta_slow &&
        scaling.beta_fast <= 1e6)) {
    return refuse("beta_fast", scaling.beta_fast, "must be at least beta_slow, and that above 0");
  }
  const std::pair<const char*, double> sizes[] = {{"mscale", scaling.mscale},
                                                  {"mscale_all_dim", scaling.mscale_all_dim},
                                                  {"attention_factor", scaling.attention_factor}};
  for (const auto& [field, value] : sizes) {
    if (!(value >= 0 && value <= 1e3)) return refuse(field, value, "must be in 0 .. 1000");
  }
  return ok();
}

}  // namespace

std::vector<int32_t> TransformerConfig::eos_token_ids() const {
  if (eos_token_id < 0) return {};
  std::vector<int32_t> all{eos_token_id};
  all.insert(all.end(), more_eos_token_ids.begin(), more_eos_token_ids.end());
  return all;
}

Status validate(const TransformerConfig& c) {
  const std::pair<const char*, int64_t> positive[] = {
      {"vocab_size", c.vocab_size},
      {"hidden_size", c.hidden_size},
      {"num_hidden_layers", c.num_hidden_layers},
      {"num_attention_heads", c.num_attention_heads},
      {"max_position_embeddings", c.max_position_embeddings},
  };
  for (const auto& [field, value] : positive) {
    if (value < 1 || value > kSizeMax) return refuse(field, value, "must be in 1 .. 1048576");
  }
  if (c.num_hidden_layers > 1024) return refuse("num_hidden_layers", c.num_hidden_layers, "> 1024");
  if (Status status = c.is_latent() ? validate_latent(c) : validate_grouped(c); !status) {
    return status;
  }
  if (c.first_k_dense_replace < 0 || c.first_k_dense_replace > c.num_hidden_layers) {
    return refuse("first_k_dense_replace", c.first_k_dense_replace,
                  "must be in 0 .. num_hidden_layers");
  }
  if (c.first_k_dense_replace > 0 && (c.intermediate_size < 1 || c.intermediate_size > kSizeMax)) {
    return refuse("intermediate_size", c.intermediate_size, "must be in 1 .. 1048576");
  }
  if (c.has_experts()) {
    if (c.n_routed_experts < 1 || c.n_routed_experts > 1024) {
      return refuse("n_routed_experts", c.n_routed_experts, "must be in 1 .. 1024");
    }
    if (c.n_shared_experts < 0 || c.n_shared_experts > 64) {
      return refuse("n_shared_experts", c.n_shared_experts, "must be in 0 .. 64");
    }
    if (c.moe_intermediate_size < 1 || c.moe_intermediate_size > kSizeMax) {
      return refuse("moe_intermediate_size", c.moe_intermediate_size, "must be in 1 .. 1048576");
    }
    if (c.n_group < 1 || c.n_routed_experts % c.n_group != 0) {
      return refuse("n_group", c.n_group, "must divide n_routed_experts");
    }
    if (c.topk_group < 1 || c.topk_group > c.n_group) {
      return refuse("topk_group", c.topk_group, "must be in 1 .. n_group");
    }
    if (c.num_experts_per_tok < 1 ||
        c.num_experts_per_tok > c.n_routed_experts / c.n_group * c.topk_group) {
      return refuse("num_experts_per_tok", c.num_experts_per_tok,
                    "must be in 1 .. the experts of the kept groups");
    }
  }
  if (!(c.rms_norm_eps > 0 && c.rms_norm_eps < 1)) {
    return invalid_argument("model configuration: rms_norm_eps must be in (0, 1)");
  }
  if (!(c.rope_theta > 1 && c.rope_theta < 1e12)) {
    return invalid_argument("model configuration: rope_theta must be in (1, 1e12)");
  }
  if (Status status = validate_rope(c.rope_scaling); !status) return status;
  // The products above are bounded one by one; the whole must be addressable too.
  double total = 0;
  for (const auto& shape : parameters(c)) total += static_cast<double>(shape.size());
  if (total > 1e12) return invalid_argument("model configuration: more than 1e12 parameters");
  return ok();
}

Result<TransformerConfig> named_config(std::string_view name) {
  TransformerConfig c;
  c.vocab_size = 272;
  c.first_k_dense_replace = 1;
  c.n_shared_experts = 1;
  c.qk_nope_head_dim = 32;
  c.qk_rope_head_dim = 16;
  c.v_head_dim = 32;
  c.max_position_embeddings = 4096;
  c.bos_token_id = 257;
  c.eos_token_id = 258;
  if (name == "tiny-moe") {
    c.hidden_size = 128;
    c.num_hidden_layers = 3;
    c.intermediate_size = 256;
    c.moe_intermediate_size = 64;
    c.n_routed_experts = 8;
    c.num_experts_per_tok = 2;
    c.num_attention_heads = 4;
    c.kv_lora_rank = 48;
    return c;
  }
  if (name == "small-moe") {
    c.hidden_size = 256;
    c.num_hidden_layers = 6;
    c.intermediate_size = 768;
    c.moe_intermediate_size = 128;
    c.n_routed_experts = 16;
    c.num_experts_per_tok = 4;
    c.routed_scaling_factor = 2.0;
    c.num_attention_heads = 8;
    c.q_lora_rank = 128;
    c.kv_lora_rank = 112;
    return c;
  }
  return invalid_argument("policy.config = \"" + std::string(name) +
                          "\" is not a named architecture; there are: tiny-moe, small-moe");
}

ParameterNames parameter_names(Family family) {
  if (family == Family::kMixtral) {
    return {"block_sparse_moe.gate.weight", "block_sparse_moe.experts.", ".w1.weight", ".w3.weight",
            ".w2.weight"};
  }
  return {"mlp.gate.weight", "mlp.experts.", ".gate_proj.weight", ".up_proj.weight",
          ".down_proj.weight"};
}

std::vector<TensorShape> parameters(const TransformerConfig& c) {
  std::vector<TensorShape> all;
  const auto add = [&](std::string name, int64_t rows, int64_t cols = 0, bool is_float32 = false) {
    all.push_back({std::move(name), rows, cols, is_float32});
  };
  const int64_t D = c.hidden_size, H = c.num_attention_heads;
  const auto add_mlp = [&](const std::string& prefix, int64_t inner) {
    add(prefix + "gate_proj.weight", inner, D);
    add(prefix + "up_proj.weight", inner, D);
    add(prefix + "down_proj.weight", D, inner);
  };
  const auto add_latent = [&](const std::string& attn) {
    if (c.q_lora_rank > 0) {
      add(attn + "q_a_proj.weight", c.q_lora_rank, D);
      add(attn + "q_a_layernorm.weight", c.q_lora_rank);
      add(attn + "q_b_proj.weight", c.query_width(), c.q_lora_rank);
    } else {
      add(attn + "q_proj.weight", c.query_width(), D);
    }
    add(attn + "kv_a_proj_with_mqa.weight", c.kv_lora_rank + c.qk_rope_head_dim, D);
    add(attn + "kv_a_layernorm.weight", c.kv_lora_rank);
    add(attn + "kv_b_proj.weight", H * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank);
  };
  const auto add_grouped = [&](const std::string& attn) {
    const int64_t width = c.num_key_value_heads * c.head_dim;
    add(attn + "q_proj.weight", c.query_width(), D);
    add(attn + "k_proj.weight", width, D);
    add(attn + "v_proj.weight", width, D);
    if (c.has_qkv_bias()) {
      add(attn + "q_proj.bias", c.query_width());
      add(attn + "k_proj.bias", width);
      add(attn + "v_proj.bias", width);
    }
    if (c.has_qk_norm()) {
      add(attn + "q_norm.weight", c.head_dim);
      add(attn + "k_norm.weight", c.head_dim);
    }
  };
  const ParameterNames names = parameter_names(c.family);
  add("model.embed_tokens.weight", c.vocab_size, D);
  add("model.norm.weight", D);
  if (!c.tie_word_embeddings) add("lm_head.weight", c.vocab_size, D);
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    const std::string attn = prefix + "self_attn.";
    add(prefix + "input_layernorm.weight", D);
    add(prefix + "post_attention_layernorm.weight", D);
    if (c.is_latent()) {
      add_latent(attn);
    } else {
      add_grouped(attn);
    }
    add(attn + "o_proj.weight", D, c.attended_width());
    if (c.is_dense(layer)) {
      add_mlp(prefix + "mlp.", c.intermediate_size);
      continue;
    }
    add(prefix + names.router, c.n_routed_experts, D);
    if (c.has_router_bias()) {
      add(prefix + "mlp.gate.e_score_correction_bias", c.n_routed_experts, 0, /*is_float32=*/true);
    }
    for (int64_t e = 0; e < c.n_routed_experts; ++e) {
      const std::string expert = prefix + names.experts + std::to_string(e);
      add(expert + names.expert_gate, c.moe_intermediate_size, D);
      add(expert + names.expert_up, c.moe_intermediate_size, D);
      add(expert + names.expert_down, D, c.moe_intermediate_size);
    }
    if (c.n_shared_experts > 0) {
      add_mlp(prefix + "mlp.shared_experts.", c.n_shared_experts * c.moe_intermediate_size);
    }
  }
  std::sort(all.begin(), all.end(),
            [](const TensorShape& a, const TensorShape& b) { return a.name < b.name; });
  return all;
}

}  // namespace troupe::model

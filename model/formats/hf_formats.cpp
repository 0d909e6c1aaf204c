#include "model/formats/hf_formats.h"

#include <algorithm>

#include "schemas/check.h"

namespace troupe::model {
namespace {

std::vector<ConfigField> joined(std::vector<ConfigField> first,
                                const std::vector<ConfigField>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::vector<FixedField> joined(std::vector<FixedField> first,
                               const std::vector<FixedField>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// In the order of the file.
std::vector<ConfigFormat> make_formats() {
  using C = TransformerConfig;
  const auto common = [](double rms_norm_eps) {
    return std::vector<ConfigField>{
        {"vocab_size", &C::vocab_size},
        {"hidden_size", &C::hidden_size},
        {"num_hidden_layers", &C::num_hidden_layers},
        {"num_attention_heads", &C::num_attention_heads},
        {"max_position_embeddings", &C::max_position_embeddings},
        {"rms_norm_eps", &C::rms_norm_eps, rms_norm_eps},
        {"tie_word_embeddings", &C::tie_word_embeddings, false},
    };
  };
  const std::vector<ConfigField> dense =
      joined(common(1e-6), {{"intermediate_size", &C::intermediate_size}});
  const std::vector<ConfigField> deepseek =
      joined(dense, {
                        {"moe_intermediate_size", &C::moe_intermediate_size},
                        {"n_routed_experts", &C::n_routed_experts, {}, "num_local_experts"},
                        {"n_shared_experts", &C::n_shared_experts},
                        {"num_experts_per_tok", &C::num_experts_per_tok},
                        {"kv_lora_rank", &C::kv_lora_rank},
                        {"qk_nope_head_dim", &C::qk_nope_head_dim},
                        {"qk_rope_head_dim", &C::qk_rope_head_dim},
                        {"v_head_dim", &C::v_head_dim},
                    });
  // The last ones are of other families: transformers does not look at them in these, but who
  // writes one here, for a program of his own, means another model.
  const std::vector<FixedField> fixed = {{"hidden_act", "silu"},
                                         {"attention_dropout", 0.0},
                                         {"partial_rotary_factor", 1.0, false},
                                         {"rotary_pct", 1.0, false},
                                         {"attn_logit_softcapping", nullptr, false},
                                         {"final_logit_softcapping", nullptr, false},
                                         {"query_pre_attn_scalar", nullptr, false},
                                         {"clip_qkv", nullptr, false},
                                         {"logit_scale", 1.0, false},
                                         {"logits_scaling", 1.0, false},
                                         {"embedding_multiplier", 1.0, false},
                                         {"residual_multiplier", 1.0, false},
                                         {"scale_emb", 1.0, false},
                                         {"parallel_attn", false, false},
                                         {"use_parallel_residual", false, false},
                                         {"alibi", false, false},
                                         {"no_rope_layers", nullptr, false}};
  const std::vector<FixedField> unbiased = joined(fixed, {{"attention_bias", false}});
  const std::vector<FixedField> latent =
      joined(unbiased, {{"moe_layer_freq", 1}, {"pretraining_tp", 1}, {"mlp_bias", false, false}});
  return {
      {.family = Family::kDeepseekV3,
       .model_type = "deepseek_v3",
       .architecture = "DeepseekV3ForCausalLM",
       .bos_token_id = 0,
       .eos_token_id = 1,
       .fields = joined(deepseek, {{"first_k_dense_replace", &C::first_k_dense_replace, 3},
                                   {"n_group", &C::n_group, 8},
                                   {"topk_group", &C::topk_group, 4},
                                   {"norm_topk_prob", &C::norm_topk_prob, true},
                                   {"routed_scaling_factor", &C::routed_scaling_factor, 2.5}}),
       .fixed = joined(
           latent,
           {{"scoring_func", "sigmoid"}, {"topk_method", "noaux_tc"}, {"rope_interleave", true}})},
      // Groups are apart, in read_groups. transformers has norm_topk_prob and computes without it,
      // DeepSeek's own program computes with it; where it is false they agree.
      {.family = Family::kDeepseekV2,
       .model_type = "deepseek_v2",
       .architecture = "DeepseekV2ForCausalLM",
       .bos_token_id = 1,
       .eos_token_id = 2,
       .fields = joined(deepseek, {{"first_k_dense_replace", &C::first_k_dense_replace, 0},
                                   {"routed_scaling_factor", &C::routed_scaling_factor, 1.0}}),
       .fixed = joined(latent, {{"scoring_func", "softmax"}, {"norm_topk_prob", false}})},
      {.family = Family::kLlama,
       .model_type = "llama",
       .architecture = "LlamaForCausalLM",
       .bos_token_id = 1,
       .eos_token_id = 2,
       .fields = dense,
       .fixed = joined(unbiased, {{"mlp_bias", false}, {"pretraining_tp", 1}})},
      {.family = Family::kMistral,
       .model_type = "mistral",
       .architecture = "MistralForCausalLM",
       .bos_token_id = 1,
       .eos_token_id = 2,
       .num_key_value_heads = 8,
       .sliding_window = 4096,
       .fields = dense,
       .fixed = unbiased},
      {.family = Family::kQwen2,
       .model_type = "qwen2",
       .architecture = "Qwen2ForCausalLM",
       .num_key_value_heads = 32,
       .sliding_window = 4096,
       .fields = dense,
       .fixed = joined(fixed, {{"use_mrope", false, false}})},
      {.family = Family::kQwen3,
       .model_type = "qwen3",
       .architecture = "Qwen3ForCausalLM",
       .num_key_value_heads = 32,
       .head_dim = 128,
       .sliding_window = 4096,
       .fields = dense,
       .fixed = unbiased},
      {.family = Family::kQwen3Moe,
       .model_type = "qwen3_moe",
       .architecture = "Qwen3MoeForCausalLM",
       .num_key_value_heads = 4,
       .sliding_window = 4096,
       .fields = joined(dense, {{"moe_intermediate_size", &C::moe_intermediate_size},
                                {"num_experts", &C::n_routed_experts, {}, "num_local_experts"},
                                {"num_experts_per_tok", &C::num_experts_per_tok},
                                {"norm_topk_prob", &C::norm_topk_prob, false}}),
       .fixed = joined(unbiased, {{"decoder_sparse_step", 1}})},
      {.family = Family::kMixtral,
       .model_type = "mixtral",
       .architecture = "MixtralForCausalLM",
       .bos_token_id = 1,
       .eos_token_id = 2,
       .num_key_value_heads = 8,
       .rope_theta = 1000000,
       .fields =
           joined(common(1e-5), {{"intermediate_size", &C::moe_intermediate_size},
                                 {"num_local_experts", &C::n_routed_experts, {}, "num_experts"},
                                 {"num_experts_per_tok", &C::num_experts_per_tok}}),
       .fixed = joined(unbiased, {{"router_jitter_noise", 0.0}})},
  };
}

}  // namespace

const std::vector<ConfigFormat>& config_formats() {
  static const std::vector<ConfigFormat> all = make_formats();
  return all;
}

const ConfigFormat& config_format_of(Family family) {
  const auto& all = config_formats();
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const ConfigFormat& format) { return format.family == family; });
  TROUPE_CHECK(found != all.end());
  return *found;
}

}  // namespace troupe::model

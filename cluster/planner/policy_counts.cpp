#include "cluster/planner/policy_counts.h"

namespace troupe::cluster {

PolicyCounts count_policy(const model::TransformerConfig& c) {
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  const double D = number(c.hidden_size), H = number(c.num_attention_heads);
  const double query = number(c.query_width()), attended = number(c.attended_width());
  PolicyCounts n;
  n.layers = number(c.num_hidden_layers);
  const double dense_layers = number(c.first_k_dense_replace);
  n.expert_layers = n.layers - dense_layers;
  n.experts = number(c.n_routed_experts);
  n.experts_per_token = number(c.num_experts_per_tok);

  double small = 2 * D;  // Norms and biases of a layer.
  if (c.is_latent()) {
    const double latent = number(c.kv_lora_rank), rope = number(c.qk_rope_head_dim);
    const double q = number(c.q_lora_rank);
    n.attention = q > 0 ? D * q + q * query : D * query;
    n.attention +=
        D * (latent + rope) + latent * H * number(c.qk_nope_head_dim + c.v_head_dim) + attended * D;
    small += q + latent;
    n.context_flops = 2 * (query + attended) * n.layers;
    n.context_flops_latent = 2 * H * (2 * latent + rope) * n.layers;
    n.cache_values = (latent + rope) * n.layers;
  } else {
    const double width = number(c.num_key_value_heads * c.head_dim);
    n.attention = D * query + 2 * D * width + attended * D;
    if (c.has_qkv_bias()) small += query + 2 * width;
    if (c.has_qk_norm()) small += 2 * number(c.head_dim);
    n.context_flops = n.context_flops_latent = 2 * (query + attended) * n.layers;
    n.cache_values = 2 * width * n.layers;
  }
  n.expert = 3 * D * number(c.has_experts() ? c.moe_intermediate_size : c.intermediate_size);
  const double dense = 3 * D * number(c.intermediate_size);
  const double shared = 3 * D * number(c.n_shared_experts * c.moe_intermediate_size);
  const double gate = n.experts * (D + (c.has_router_bias() ? 1 : 0));
  n.routed = n.expert_layers * n.experts * n.expert;
  n.everywhere = n.layers * (n.attention + small) + D + dense_layers * dense +
                 n.expert_layers * (shared + gate);
  n.embedding = number(c.vocab_size) * D;
  n.heads = c.tie_word_embeddings ? 1 : 2;
  n.parameters = n.routed + n.everywhere + n.heads * n.embedding;
  n.active = n.everywhere + n.embedding + n.expert_layers * n.experts_per_token * n.expert;
  n.linear_flops = 2 * n.active;
  // Inputs of the two halves and of their norms, queries, keys, values and what they give, and the
  // two inner widths of the MLP with their product.
  const double inner =
      c.has_experts()
          ? number((c.num_experts_per_tok + c.n_shared_experts) * c.moe_intermediate_size)
          : number(c.intermediate_size);
  n.activation_values = 4 * D + query + 2 * attended + n.cache_values / n.layers + 3 * inner;
  n.layer_input_values = D;
  return n;
}

double forward_flops(const PolicyCounts& policy, double tokens, double squares, bool is_latent) {
  const double context = is_latent ? policy.context_flops_latent : policy.context_flops;
  return policy.linear_flops * tokens + context * squares / 2;
}

}  // namespace troupe::cluster

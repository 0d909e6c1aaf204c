// What a policy has and does for each token, counted from its shapes.
#pragma once

#include "model/transformer/config.h"

namespace troupe::cluster {

// Parameters, floating point operations (a multiplication and an addition are two) and bytes.
struct PolicyCounts {
  double parameters = 0;    // All of them.
  double routed = 0;        // In routed experts.
  double embedding = 0;     // In one of embedding and head.
  double heads = 0;         // Matrices of that size: 2, or 1 where they are the same.
  double everywhere = 0;    // The rest: read by every token.
  double active = 0;        // That one token goes through, the head included.
  double attention = 0;     // Of one layer.
  double expert = 0;        // One of them; a dense layer's MLP where there are none.
  double linear_flops = 0;  // Of a token's forward, attention over the context apart.
  // Of a token's forward, for each position of its context. Latent: in the compressed form that is
  // also cached; equal where there is only one form.
  double context_flops = 0, context_flops_latent = 0;
  double cache_values = 0;        // Of a token, all layers.
  double activation_values = 0;   // Of a token and one layer that learning keeps ...
  double layer_input_values = 0;  // ... or only this, where it computes the rest again.
  double layers = 0, expert_layers = 0;
  double experts = 0, experts_per_token = 0;
};

PolicyCounts count_policy(const model::TransformerConfig& config);

// Of one forward over whole sequences: `tokens` is the sum of their lengths, `squares` of the
// squares of these. Causal: a token sees half of its sequence on average.
double forward_flops(const PolicyCounts& policy, double tokens, double squares, bool is_latent);

}  // namespace troupe::cluster

// Rotary position embeddings: the angles, and what scaling them does to attention.
#pragma once

#include <cstdint>
#include <vector>

#include "model/transformer/config.h"

namespace troupe::model {

// (positions, P) with P = config.rotated_dim(): cosine and sine of pair i at [position, 2 i] and
// [.., 2 i + 1], times the factor that YaRN gives them. The angle of pair i is position times
//   theta^(-2i/P)                                              RoFormer (Su et al. 2021)
//   that / factor                                              linear
//   that / factor below the low frequency, blended up to the high one    Llama 3
//   a ramp between both over the pairs that beta_fast and beta_slow turns name
//                                                              YaRN (Peng et al. 2023, section 3.2)
// Computed in double by our own sine and cosine, so that every machine has the same table.
std::vector<float> rope_table(const TransformerConfig& config, int64_t positions);

// What scores are multiplied by: 1 / sqrt(size of a head), and in DeepSeek's models times
// (0.1 mscale_all_dim ln factor + 1)^2 (YaRN's temperature).
float attention_scale(const TransformerConfig& config);

}  // namespace troupe::model

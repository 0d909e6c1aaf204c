// Fresh weights from counter-based random numbers: element i of a tensor is a function of the seed,
// the tensor's name and i alone.
#pragma once

#include <cstdint>
#include <vector>

#include "model/transformer/parameter_layout.h"

namespace troupe::model {

// Floats by layout. Matrices are normal with variance 1 / inputs, those that write into the
// residual stream (o_proj, down_proj) divided by sqrt(2 * layers), the embedding 0.5, the head half
// of 1 / sqrt(hidden); norms are 1 and the gate's bias 0.
std::vector<float> initial_parameters(const TransformerConfig& config,
                                      const ParameterLayout& layout, uint64_t seed);

}  // namespace troupe::model

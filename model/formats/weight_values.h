// What is wrong with the values of weights that are well formed.
#pragma once

#include <span>
#include <string>

#include "model/formats/quantization.h"
#include "model/formats/sharded_safetensors.h"
#include "model/transformer/config.h"
#include "model/transformer/parameter_layout.h"
#include "schemas/result.h"

namespace troupe::model {

// kInvalidArgument, naming the file, the first such tensor, how many of its values and where, for
// weights that are not a number or infinite: whatever is computed with them is neither.
Status check_finite(const std::string& path, const ParameterLayout& layout,
                    std::span<const float> values);

// kInvalidArgument for norms or embeddings that are zero in all of their values: no training ends
// there, but a download that kept room for the file and did not fill it does.
Status check_filled(const std::string& path, const ParameterLayout& layout,
                    std::span<const float> values);

// A model that is tied takes its embeddings for its head. kInvalidArgument when the file has a head
// with other values, because then one of the two is not what was trained.
Status check_tied_head(const ShardedSafetensors& file, const TransformerConfig& config,
                       const ScaleBlocks& blocks);

}  // namespace troupe::model

// config.json as Hugging Face writes it for each Family: what makes a folder of weights loadable by
// transformers, and by this program.
#pragma once

#include <string>
#include <string_view>

#include "model/transformer/config.h"
#include "schemas/result.h"

namespace troupe::model {

// What transformers would build from this file: a field that is missing has the value that it has
// there, except the sizes, which must be said. kInvalidArgument, naming `origin` and the field,
// when one is missing, has the wrong type or asks for mathematics that this program does not do
// (another architecture, biases, a sliding window, quantisation, ...). Fields that do not change
// the mathematics are ignored.
Result<TransformerConfig> parse_hf_config(std::string_view json, std::string_view origin);

// `folder`/config.json.
Result<TransformerConfig> load_hf_config(const std::string& folder);

// The whole file, for weights stored as `torch_dtype`.
std::string to_hf_config(const TransformerConfig& config,
                         std::string_view torch_dtype = "bfloat16");

}  // namespace troupe::model

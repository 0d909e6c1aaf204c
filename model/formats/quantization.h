// How a checkpoint says that its matrices are stored as FP8 with a scale per block.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::model {

// Each block of rows x cols elements has one scale; the last ones of a matrix may be smaller.
struct ScaleBlocks {
  int64_t rows = 128;
  int64_t cols = 128;

  bool operator==(const ScaleBlocks&) const = default;
};

// config.json's quantization_config; nothing when there is none. kInvalidArgument, naming `origin`,
// unless it is FP8 E4M3 with weight_block_size, as DeepSeek-V3 and Qwen3 publish.
Result<std::optional<ScaleBlocks>> parse_quantization(const nlohmann::json& config,
                                                      std::string_view origin);

// That of `folder`/config.json.
Result<std::optional<ScaleBlocks>> load_quantization(const std::string& folder);

}  // namespace troupe::model

// Group-relative advantages (GRPO, DeepSeek-R1): each response against the others of its group.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace troupe::model {

enum class AdvantageKind {
  kGroupNormalised,  // (r - mean) / (std + 1e-6), population standard deviation
  kGroupCentred,     // r - mean (Dr.GRPO)
};

// By the name that a job uses: group_normalised | group_centred.
AdvantageKind advantage_kind(std::string_view name);

// In double. A group whose rewards are all equal gets exact zeros.
std::vector<double> group_advantages(std::span<const float> rewards, AdvantageKind kind);

}  // namespace troupe::model

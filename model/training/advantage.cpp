#include "model/training/advantage.h"

#include <algorithm>
#include <cmath>

#include "schemas/check.h"

namespace troupe::model {

AdvantageKind advantage_kind(std::string_view name) {
  if (name == "group_centred") return AdvantageKind::kGroupCentred;
  TROUPE_CHECK(name == "group_normalised");
  return AdvantageKind::kGroupNormalised;
}

std::vector<double> group_advantages(std::span<const float> rewards, AdvantageKind kind) {
  TROUPE_CHECK(!rewards.empty());
  std::vector<double> advantages(rewards.size(), 0.0);
  if (std::all_of(rewards.begin(), rewards.end(), [&](float r) { return r == rewards[0]; })) {
    return advantages;
  }
  const auto n = static_cast<double>(rewards.size());
  double sum = 0;
  for (float r : rewards) sum += static_cast<double>(r);
  const double mean = sum / n;
  double squares = 0;
  for (float r : rewards)
    squares += (static_cast<double>(r) - mean) * (static_cast<double>(r) - mean);
  const double scale =
      kind == AdvantageKind::kGroupNormalised ? 1.0 / (std::sqrt(squares / n) + 1e-6) : 1.0;
  for (size_t i = 0; i < rewards.size(); ++i) {
    advantages[i] = (static_cast<double>(rewards[i]) - mean) * scale;
  }
  return advantages;
}

}  // namespace troupe::model

#include "actors/verifier/reward.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "actors/verifier/format_verdict.h"
#include "actors/verifier/math/math_verdict.h"
#include "schemas/check.h"
#include "schemas/nearest.h"

namespace troupe::actors {
namespace {

VerdictPart verify_form(std::string_view response, std::string_view) {
  return verify_r1_format(response);
}

VerdictPart verify_mathematics(std::string_view response, std::string_view gold) {
  MathVerdict verdict = verify_math(response, gold);
  return {.name = "math",
          .kind = verdict.kind,
          .value = verdict.kind == VerdictKind::kEqual ? 1.0f : 0.0f,
          .reason = std::move(verdict.reason)};
}

struct Entry {
  std::string_view name;
  Verifier verifier;
};
constexpr Entry kVerifiers[] = {{"math", verify_mathematics}, {"r1_format", verify_form}};

Verifier find_verifier(std::string_view name) {
  for (const Entry& entry : kVerifiers) {
    if (entry.name == name) return entry.verifier;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> verifier_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kVerifiers) names.emplace_back(entry.name);
  return names;
}

Result<std::vector<Verifier>> find_verifiers(const std::vector<RewardSpec>& rewards) {
  if (rewards.empty()) {
    return invalid_argument(
        "[rewards] is empty; add one, e.g. accuracy = { verifier = \"math\", weight = 1.0 }");
  }
  std::vector<Verifier> verifiers;
  for (const RewardSpec& reward : rewards) {
    const Verifier verifier = find_verifier(reward.verifier);
    if (!verifier) {
      return invalid_argument(fmt::format("rewards.{}: unknown verifier '{}'; known: {}",
                                          reward.name, reward.verifier,
                                          nearest_first_list(reward.verifier, verifier_names())));
    }
    if (!std::isfinite(reward.weight)) {
      return invalid_argument(
          fmt::format("rewards.{}: weight {} is not a finite number", reward.name, reward.weight));
    }
    verifiers.push_back(verifier);
  }
  return verifiers;
}

size_t accuracy_part(const std::vector<RewardSpec>& rewards) {
  for (size_t i = 0; i < rewards.size(); ++i) {
    if (rewards[i].verifier == "math") return i;
  }
  return 0;
}

Verdict judge(const std::vector<RewardSpec>& rewards, std::string_view response,
              std::string_view gold) {
  Verdict verdict;
  for (const RewardSpec& reward : rewards) {
    const Verifier verifier = find_verifier(reward.verifier);
    TROUPE_CHECK(verifier != nullptr);
    VerdictPart part = verifier(response, gold);
    part.name = reward.name;
    part.weight = static_cast<float>(reward.weight);
    verdict.parts.push_back(std::move(part));
  }
  return verdict;
}

}  // namespace troupe::actors

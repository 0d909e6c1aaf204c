// The accuracy of a mathematical answer.
#include "actors/verifier/math/math_verdict.h"
#include "actors/verifier/rewards/rewards.h"

namespace troupe::actors {
VerifierEntry math_reward() {
  return {
      .name = "math",
      .comment = "the final answer equals the reference answer mathematically",
      .reference = model::WantedReference::kShortAnswer,
      .check_gold =
          [](const Settings&, std::string_view gold) {
            return is_readable_gold(gold)
                       ? ok()
                       : invalid_argument("the reference answer cannot be read as mathematics");
          },
      .make =
          [](const RewardSpec&, const Settings&, const VerifierTools&) {
            return make_function_verifier([](const ResponseToJudge& response) {
              MathVerdict verdict = verify_math(response.text, response.gold);
              return VerdictPart{.kind = verdict.kind,
                                 .value = verdict.kind == VerdictKind::kEqual ? 1.0f : 0.0f,
                                 .reason = std::move(verdict.reason)};
            });
          },
  };
}

}  // namespace troupe::actors

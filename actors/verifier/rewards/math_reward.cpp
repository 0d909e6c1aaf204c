// The accuracy of a mathematical answer.
#include "actors/verifier/math/extraction.h"
#include "actors/verifier/math/math_verdict.h"
#include "actors/verifier/rewards/rewards.h"

namespace troupe::actors {
VerifierEntry math_reward() {
  return {
      .name = "math",
      .comment = "the final answer equals the reference answer mathematically",
      .settings = {{.key = "extraction",
                    .type = SettingType::kText,
                    .default_value = "marked",
                    .allowed = {"marked", "last_number"},
                    .comment = "last_number: where a response marks no answer, its last number, "
                               "for policies that have not learned to mark one"}},
      .reference = model::WantedReference::kShortAnswer,
      .check_gold =
          [](const Settings&, std::string_view gold) {
            return is_readable_gold(gold)
                       ? ok()
                       : invalid_argument("the reference answer cannot be read as mathematics");
          },
      .make =
          [](const RewardSpec&, const Settings& settings, const VerifierTools&) {
            const auto extraction = extraction_of(settings.text("extraction"));
            return make_function_verifier([extraction](const ResponseToJudge& response) {
              MathVerdict verdict = verify_math(response.text, response.gold,
                                                extraction.value_or(Extraction::kMarked));
              return VerdictPart{.kind = verdict.kind,
                                 .value = verdict.kind == VerdictKind::kEqual ? 1.0f : 0.0f,
                                 .reason = std::move(verdict.reason)};
            });
          },
  };
}

}  // namespace troupe::actors

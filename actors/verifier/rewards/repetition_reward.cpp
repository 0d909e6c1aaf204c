// Against responses that go round in circles.
#include "actors/verifier/repetition_verdict.h"
#include "actors/verifier/rewards/rewards.h"

namespace troupe::actors {

VerifierEntry repetition_reward() {
  return {
      .name = "repetition",
      .comment = "1 while few n-grams of words are repeated, falling to 0 when all are",
      .settings = {{.key = "ngram",
                    .type = SettingType::kInteger,
                    .default_value = 4.0,
                    .low = 1,
                    .high = 64,
                    .comment = "words in a row"},
                   {.key = "max_share",
                    .default_value = 0.2,
                    .low = 0,
                    .high = 0.99,
                    .comment = "so many of the n-grams may have occurred before"}},
      .make =
          [](const RewardSpec&, const Settings& settings, const VerifierTools&) {
            return make_function_verifier(
                [ngram = settings.integer("ngram"),
                 max_share = settings.number("max_share")](const ResponseToJudge& response) {
                  return verify_repetition(response.text, ngram, max_share);
                });
          },
  };
}

}  // namespace troupe::actors

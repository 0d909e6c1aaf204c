// DeepSeek-R1's language consistency reward.
#include "actors/verifier/language_verdict.h"
#include "actors/verifier/rewards/rewards.h"

namespace troupe::actors {

VerifierEntry language_reward() {
  return {
      .name = "language",
      .comment = "share of the words of the thoughts that are of the language",
      .settings = {{.key = "language",
                    .type = SettingType::kText,
                    .default_value = "en",
                    .allowed = {"en", "zh", "ja", "ko", "ru", "el", "he", "ar", "hi", "th"},
                    .comment = "told by its writing: en is any language in Latin letters"}},
      .make =
          [](const RewardSpec&, const Settings& settings, const VerifierTools&) {
            return make_function_verifier(
                [language = settings.text("language")](const ResponseToJudge& response) {
                  return verify_language(response.text, language);
                });
          },
  };
}

}  // namespace troupe::actors

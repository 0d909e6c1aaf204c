// DAPO's soft overlong penalty, as a reward. DAPO adds 0 to -1; this is worth 1 to 0. GRPO
// subtracts the group's mean, so a constant does not matter, and `weight` is the size of the
// penalty.
#include <fmt/format.h>

#include "actors/verifier/rewards/rewards.h"

namespace troupe::actors {
namespace {

VerdictPart verify_length(int64_t tokens, int64_t max_tokens, int64_t buffer_tokens) {
  const int64_t soft = max_tokens - buffer_tokens;
  float value = 0;
  if (tokens <= soft) {
    value = 1;
  } else if (tokens < max_tokens) {
    value = static_cast<float>(static_cast<double>(max_tokens - tokens) /
                               static_cast<double>(buffer_tokens));
  }
  return {.kind = VerdictKind::kScored,
          .value = value,
          .reason = fmt::format("{} tokens; full worth up to {}, none from {} on", tokens, soft,
                                buffer_tokens > 0 ? max_tokens : max_tokens + 1)};
}

}  // namespace

VerifierEntry length_reward() {
  return {
      .name = "length",
      .comment =
          "1 up to max_tokens - buffer_tokens, falling to 0 at max_tokens (DAPO's soft "
          "overlong penalty of the size weight, plus a constant)",
      .settings = {{.key = "max_tokens",
                    .type = SettingType::kInteger,
                    .default_value = 0.0,
                    .low = 1,
                    .high = 1 << 24,
                    .comment = "to be set; the end token counts"},
                   {.key = "buffer_tokens",
                    .type = SettingType::kInteger,
                    .default_value = 0.0,
                    .low = 0,
                    .high = 1 << 24,
                    .comment = "0: nothing between all and nothing"}},
      .find_fault = [](const Settings& settings) -> std::optional<std::string> {
        if (settings.integer("max_tokens") == 0) return "max_tokens is not set; say how many";
        if (settings.integer("buffer_tokens") > settings.integer("max_tokens")) {
          return "buffer_tokens is more than max_tokens";
        }
        return std::nullopt;
      },
      .make =
          [](const RewardSpec&, const Settings& settings, const VerifierTools&) {
            return make_function_verifier([max_tokens = settings.integer("max_tokens"),
                                           buffer_tokens = settings.integer("buffer_tokens")](
                                              const ResponseToJudge& response) {
              return verify_length(response.num_tokens, max_tokens, buffer_tokens);
            });
          },
  };
}

}  // namespace troupe::actors

// A program of the user's.
#include "actors/verifier/rewards/rewards.h"
#include "actors/verifier/rewards/sandbox_setting.h"

namespace troupe::actors {

VerifierEntry command_reward() {
  return {
      .name = "command",
      .comment =
          "a program of yours: JSON lines {id, prompt, response, gold} in, {id, score, "
          "reason} out; score is 0 to 1",
      .settings = {{.key = "command",
                    .type = SettingType::kTexts,
                    .default_value = std::vector<std::string>{},
                    .comment = "program and arguments, in a sandbox; its files are in /box"},
                   {.key = "files",
                    .type = SettingType::kFiles,
                    .default_value = std::vector<std::string>{},
                    .comment = "what the program needs; their contents travel with the job"},
                   {.key = "toolchain",
                    .type = SettingType::kText,
                    .default_value = "python",
                    .allowed = {"python", "cpp", "none"},
                    .comment = "what else is in the sandbox"},
                   {.key = "trusted",
                    .type = SettingType::kText,
                    .default_value = "",
                    .comment = "instead: a program that the head knows by this name"},
                   {.key = "deadline_seconds",
                    .default_value = 10.0,
                    .low = 0.1,
                    .high = 3600,
                    .comment = "for each response"},
                   {.key = "memory_mb",
                    .type = SettingType::kInteger,
                    .default_value = 512.0,
                    .low = 16,
                    .high = 1 << 16,
                    .comment = "in the sandbox"},
                   sandbox_setting()},
      .find_fault = [](const Settings& settings) -> std::optional<std::string> {
        if (settings.texts("command").empty() == settings.text("trusted").empty()) {
          return "set exactly one of command and trusted";
        }
        return std::nullopt;
      },
      .box_level = [](const Settings& settings) -> std::optional<BoxLevel> {
        if (settings.texts("command").empty()) return std::nullopt;
        return allowed_box_level(settings);
      },
      .seconds_max = [](const Settings& settings) { return settings.number("deadline_seconds"); },
      .make = [](const RewardSpec&, const Settings&, const VerifierTools&) -> VerifierEntry::Made {
        return Error{ErrorCode::kInternal, "this version cannot run programs yet"};
      },
  };
}

}  // namespace troupe::actors

// The accuracy of a program: it is run against hidden tests in a sandbox.
#include "actors/verifier/rewards/rewards.h"
#include "actors/verifier/rewards/sandbox_setting.h"

namespace troupe::actors {
namespace {

bool is_readable(std::string_view gold) { return gold.find('{') != gold.npos; }

}  // namespace

VerifierEntry code_reward() {
  return {
      .name = "code",
      .comment = "the response's program passes the reference answer's tests, in a sandbox",
      .settings = {{.key = "language",
                    .type = SettingType::kText,
                    .default_value = "python",
                    .allowed = {"python", "cpp"},
                    .comment = "of the response's program"},
                   {.key = "seconds",
                    .default_value = 5.0,
                    .low = 0.1,
                    .high = 600,
                    .comment = "of processor time for each test"},
                   {.key = "memory_mb",
                    .type = SettingType::kInteger,
                    .default_value = 256.0,
                    .low = 16,
                    .high = 1 << 16,
                    .comment = "of all its processes together"},
                   sandbox_setting()},
      .box_level = [](const Settings& settings) { return allowed_box_level(settings); },
      .seconds_max = [](const Settings& settings) { return 2 * settings.number("seconds") + 2; },
      .is_readable_gold = is_readable,
      .make = [](const RewardSpec&, const Settings&, const VerifierTools&) -> VerifierEntry::Made {
        return Error{ErrorCode::kInternal, "this version cannot run programs yet"};
      },
  };
}

}  // namespace troupe::actors

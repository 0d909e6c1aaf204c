// The accuracy of a program: it is run against hidden tests in a sandbox.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "actors/verifier/code/code_text.h"
#include "actors/verifier/code/code_verdict.h"
#include "actors/verifier/code/language.h"
#include "actors/verifier/rewards/rewards.h"
#include "actors/verifier/rewards/sandbox_setting.h"

namespace troupe::actors {
namespace {

Result<CodeTask> read_task(std::string_view gold, const CodeTask& defaults) {
  auto object = value_from_json(gold);
  if (!object) return object.error();
  return read_code_task(*object, defaults);
}

CodeTask defaults_of(const Settings& settings) {
  CodeTask defaults;
  defaults.language = settings.text("language");
  defaults.has_packages = settings.flag("python_packages");
  defaults.seconds = settings.number("seconds");
  defaults.memory_mb = settings.integer("memory_mb");
  return defaults;
}

class CodeReward : public Verifier {
 public:
  CodeReward(Sandbox& sandbox, CodeTask defaults, size_t tests_max)
      : sandbox_(sandbox), defaults_(std::move(defaults)), tests_max_(tests_max) {}

  VerdictPart verify(const ResponseToJudge& response) override {
    if (response.gold != gold_) begin_problem(response.gold);
    if (!task_) return {.kind = VerdictKind::kGoldUnparseable, .reason = task_.error().message};
    const ExtractedCode extracted = extract_code(response.text, wanted_program(*task_));
    if (!extracted.code) return {.kind = VerdictKind::kNoAnswer, .reason = extracted.reason};
    auto known = verdicts_.find(*extracted.code);
    if (known == verdicts_.end()) {
      CodeVerdict verdict = verify_code(sandbox_, *task_, *extracted.code);
      // Only facts about the program are remembered.
      if (!is_payable(verdict.kind)) return part(verdict);
      known = verdicts_.emplace(*extracted.code, std::move(verdict)).first;
    }
    return part(known->second);
  }

 private:
  static VerdictPart part(const CodeVerdict& verdict) {
    return {
        .kind = verdict.kind, .value = verdict.is_passed() ? 1.0f : 0.0f, .reason = verdict.reason};
  }

  void begin_problem(std::string_view gold) {
    gold_ = gold;
    task_ = read_task(gold, defaults_);
    verdicts_.clear();
    if (!task_) return;
    task_->seconds = std::min(task_->seconds, defaults_.seconds);
    task_->memory_mb = std::min(task_->memory_mb, defaults_.memory_mb);
    if (task_->tests.size() > tests_max_) task_->tests.resize(tests_max_);
    if (task_->test_sources.size() > tests_max_) task_->test_sources.resize(tests_max_);
  }

  Sandbox& sandbox_;
  const CodeTask defaults_;
  const size_t tests_max_;
  // The responses of a group come one after another, and many of them may be the same program.
  std::string gold_{};
  Result<CodeTask> task_ = Error{};
  std::map<std::string, CodeVerdict> verdicts_{};
};

}  // namespace

VerifierEntry code_reward() {
  return {
      .name = "code",
      .comment = "the response's program passes the reference answer's tests, in a sandbox",
      .settings = {{.key = "language",
                    .type = SettingType::kText,
                    .default_value = "python",
                    .comment =
                        "of the response's program, where the problem names none: python | cpp "
                        "| c, or another of their usual names"},
                   {.key = "seconds",
                    .default_value = 6.0,
                    .low = 0.1,
                    .high = kCodeSecondsMax,
                    .comment = "of processor time for each test; a problem may have less"},
                   {.key = "memory_mb",
                    .type = SettingType::kInteger,
                    .default_value = 512.0,
                    .low = kCodeMemoryMbMin,
                    .high = kCodeMemoryMbMax,
                    .comment = "of all its processes together; a problem may have less"},
                   {.key = "tests_max",
                    .type = SettingType::kInteger,
                    .default_value = 100.0,
                    .low = 1,
                    .high = kCodeTestsMax,
                    .comment = "of a problem's tests that are run, the first ones"},
                   {.key = "python_packages",
                    .type = SettingType::kFlag,
                    .default_value = false,
                    .comment = "true: programs may import the Python packages that are installed"},
                   sandbox_setting()},
      .find_fault = [](const Settings& settings) -> std::optional<std::string> {
        const std::string& language = settings.text("language");
        if (find_language(language)) return {};
        return fmt::format("language is \"{}\"; it must be one of {}", language, language_names());
      },
      .box_level = [](const Settings& settings) { return allowed_box_level(settings); },
      .seconds_max =
          [](const Settings& settings) {
            // Compiling, and for each test its own time, its tests' or checker's, and all of it
            // again where the machine was short.
            return 2 * (62 + settings.number("tests_max") * (2 * settings.number("seconds") + 22));
          },
      .reference = model::WantedReference::kTests,
      .check_gold = [](const Settings& settings, std::string_view gold) -> Status {
        auto task = read_task(gold, defaults_of(settings));
        if (!task) return task.error();
        return ok();
      },
      .make = [](const RewardSpec&, const Settings& settings,
                 const VerifierTools& tools) -> VerifierEntry::Made {
        return std::unique_ptr<Verifier>(
            new CodeReward(*tools.sandbox, defaults_of(settings),
                           static_cast<size_t>(settings.integer("tests_max"))));
      },
  };
}

}  // namespace troupe::actors

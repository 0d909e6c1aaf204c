// A program of the user's, in a sandbox, or one that whoever runs the head trusts. A program that
// fails says nothing about the response: that is an infra_error, and never a zero.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "actors/verifier/command/answer_line.h"
#include "actors/verifier/command/trusted_process.h"
#include "actors/verifier/printable.h"
#include "actors/verifier/rewards/rewards.h"
#include "actors/verifier/rewards/sandbox_setting.h"

namespace troupe::actors {
namespace {

VerdictPart infra_error(std::string reason) {
  return {.kind = VerdictKind::kInfraError, .reason = std::move(reason)};
}

// A new box for each response: no verdict depends on what was judged before.
class BoxedCommand final : public Verifier {
 public:
  BoxedCommand(const RewardSpec& reward, const Settings& settings, Sandbox& sandbox)
      : sandbox_(sandbox) {
    program_.toolchain = settings.text("toolchain");
    for (const RewardFile& file : reward.files) {
      program_.files.push_back({file.name, file.content, /*is_executable=*/true});
    }
    for (const std::string& word : settings.texts("command")) {
      const bool is_file =
          std::any_of(reward.files.begin(), reward.files.end(),
                      [&word](const RewardFile& file) { return file.name == word; });
      program_.argv.push_back(is_file ? "/box/" + word : word);
    }
    std::string& name = program_.argv.front();
    if (name.find('/') == name.npos) name = "/usr/bin/" + name;
    program_.limits.cpu_seconds = settings.number("deadline_seconds");
    program_.limits.wall_seconds = settings.number("deadline_seconds");
    program_.limits.memory_bytes = settings.integer("memory_mb") << 20;
    program_.limits.output_bytes = kAnswerLineBytesMax + 1;
  }

  VerdictPart verify(const ResponseToJudge& response) override {
    constexpr uint64_t kId = 1;
    program_.input = question_line(kId, response);
    const BoxResult result = sandbox_.run(program_);
    program_.input.clear();
    if (result.end != BoxEnd::kExited || result.exit_status != 0) {
      std::string reason =
          result.end == BoxEnd::kExited
              ? fmt::format("the program exited with code {}", result.exit_status)
              : fmt::format("the program ended by {}: {}", name(result.end), result.reason);
      if (!result.errors.empty()) {
        constexpr size_t kErrorBytesMax = 200;
        const size_t begin = result.errors.size() - std::min(result.errors.size(), kErrorBytesMax);
        reason += ": " + printable(std::string_view(result.errors).substr(begin), kErrorBytesMax);
      }
      return infra_error(std::move(reason));
    }
    std::string_view line = result.output;
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.empty()) return infra_error("the program gave no answer");
    auto part = read_answer_line(line, kId);
    return part ? *std::move(part) : infra_error(part.error().message);
  }

 private:
  Sandbox& sandbox_;
  BoxProgram program_{};
};

// Kept running from response to response, and started again after its death.
class TrustedCommand final : public Verifier {
 public:
  TrustedCommand(TrustedProgram program, double deadline_seconds)
      : program_(std::move(program)), deadline_(deadline_seconds) {}

  VerdictPart verify(const ResponseToJudge& response) override {
    if (!process_) {
      auto started = TrustedProcess::start(program_.path);
      if (!started) return infra_error(started.error().message);
      process_ = std::move(*started);
    }
    const uint64_t id = next_id_++;
    const auto patience =
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline_);
    auto line = process_->ask(question_line(id, response), kAnswerLineBytesMax,
                              std::chrono::steady_clock::now() + patience);
    if (!line) {
      process_.reset();
      return infra_error(fmt::format("the program {} {}", program_.name, line.error().message));
    }
    auto part = read_answer_line(*line, id);
    if (part) return *std::move(part);
    process_.reset();  // It and we no longer speak of the same thing.
    return infra_error(part.error().message);
  }

 private:
  TrustedProgram program_;
  std::chrono::duration<double> deadline_;
  std::unique_ptr<TrustedProcess> process_{};
  uint64_t next_id_ = 1;
};

std::optional<std::string> find_command_fault(const Settings& settings) {
  const auto& command = settings.texts("command");
  if (command.empty() == settings.text(kTrustedKey).empty()) {
    return "set exactly one of command and trusted";
  }
  if (command.empty() && !settings.texts("files").empty()) {
    return "files are for a command in a sandbox; a trusted program has its own";
  }
  if (!command.empty() && command.front().empty()) return "command names no program";
  return std::nullopt;
}

}  // namespace

VerifierEntry command_reward() {
  return {
      .name = "command",
      .comment =
          "a program of yours: JSON lines {id, prompt, response, gold} in, {id, score, "
          "reason} out; score is 0 to 1",
      .settings = {{.key = "command",
                    .type = SettingType::kTexts,
                    .default_value = std::vector<std::string>{},
                    .comment = "program and arguments, in a sandbox, anew for each response; a "
                               "name of files is that file"},
                   {.key = "files",
                    .type = SettingType::kFiles,
                    .default_value = std::vector<std::string>{},
                    .comment = "what the command needs, as /box/NAME; sent with the job"},
                   {.key = "toolchain",
                    .type = SettingType::kText,
                    .default_value = "python",
                    .allowed = {"python", "cpp", "none"},
                    .comment = "what else is in the sandbox"},
                   {.key = kTrustedKey,
                    .type = SettingType::kText,
                    .default_value = "",
                    .comment = "instead of command: a program, without a sandbox, that the head "
                               "was given by --trusted-verifier NAME=PROGRAM"},
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
      .find_fault = find_command_fault,
      .box_level = [](const Settings& settings) -> std::optional<BoxLevel> {
        if (settings.texts("command").empty()) return std::nullopt;
        return allowed_box_level(settings);
      },
      .seconds_max = [](const Settings& settings) { return settings.number("deadline_seconds"); },
      .make = [](const RewardSpec& reward, const Settings& settings,
                 const VerifierTools& tools) -> VerifierEntry::Made {
        const std::string& trusted = settings.text(kTrustedKey);
        if (trusted.empty()) {
          return std::unique_ptr<Verifier>(
              std::make_unique<BoxedCommand>(reward, settings, *tools.sandbox));
        }
        for (const TrustedProgram& program : tools.trusted_programs) {
          if (program.name != trusted) continue;
          return std::unique_ptr<Verifier>(
              std::make_unique<TrustedCommand>(program, settings.number("deadline_seconds")));
        }
        return Error{ErrorCode::kInternal, "the program " + trusted + " is not known here"};
      },
  };
}

}  // namespace troupe::actors

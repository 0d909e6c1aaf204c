#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/cli/command.h"
#include "cluster/cli/number_checks.h"
#include "model/data/arithmetic.h"
#include "model/data/programs.h"

namespace troupe::cluster {
namespace {

struct ArithmeticCommand {
  model::ArithmeticOptions options{};
  std::string operands = "3-5";
  std::string out{};
  bool overwrites = false;
  model::ExistingFiles existing() const {
    return overwrites ? model::ExistingFiles::kReplace : model::ExistingFiles::kRefuse;
  }
};

bool parse_count(std::string_view text, int64_t& count) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size();
}

// "3-5" or "4".
Status parse_range(std::string_view option, std::string_view text, int64_t& min, int64_t& max) {
  const size_t dash = text.find('-');
  const std::string_view last = dash == std::string_view::npos ? text : text.substr(dash + 1);
  if (!parse_count(text.substr(0, dash), min) || !parse_count(last, max)) {
    return invalid_argument(
        fmt::format("{} {}: must be a number or a range such as 2-3", option, text));
  }
  return ok();
}

Status make(ArithmeticCommand& command) {
  auto& options = command.options;
  if (Status status =
          parse_range("--operands", command.operands, options.operands_min, options.operands_max);
      !status) {
    return status;
  }
  return model::make_arithmetic(options, command.out, command.existing());
}

struct ProgramsCommand {
  model::ProgramsOptions options{};
  std::string steps = "2-3";
  std::string out{};
  bool overwrites = false;
  model::ExistingFiles existing() const {
    return overwrites ? model::ExistingFiles::kReplace : model::ExistingFiles::kRefuse;
  }
};

Status make(ProgramsCommand& command) {
  auto& options = command.options;
  if (Status status = parse_range("--steps", command.steps, options.steps_min, options.steps_max);
      !status) {
    return status;
  }
  return model::make_programs(options, command.out, command.existing());
}

// Runs make() and says where the files are.
template <class Command>
void run(Command& command, int& exit_code) {
  const Status status = make(command);
  if (!status) {
    exit_code = report("make-data", status.error());
    return;
  }
  std::printf(
      "%s has train.jsonl, cold_start_clean.jsonl, cold_start_noisy.jsonl, held_out.jsonl\n",
      command.out.c_str());
  exit_code = 0;
}

void add_arithmetic(Command& make_data, int& exit_code) {
  Command command = make_data.add_command(
      "arithmetic", "Digits joined by operators, worked out from left to right");
  command.footer(
      "Writes train.jsonl, cold_start_clean.jsonl, cold_start_noisy.jsonl and held_out.jsonl.\n"
      "Example:\n  troupe make-data arithmetic --out data --task mod10 --operands 3-5");
  auto state = std::make_shared<ArithmeticCommand>();
  model::ArithmeticOptions& options = state->options;
  command.add_option("--out", state->out, "Folder for the files; created if missing").required();
  command.add_flag("--overwrite", state->overwrites, "Replace files that are there");
  command.add_option("--seed", options.seed, "The files are a function of it and the options")
      .check(check_whole_number)
      .show_default();
  command.add_option("--task", options.task, "mod10: + - * modulo 10; natural: + - within 0..99")
      .one_of({"mod10", "natural"})
      .show_default();
  command.add_option("--operands", state->operands, "How many digits a problem has").show_default();
  command.add_option("--tail", options.tail, "How likely one more digit is, against one less")
      .show_default();
  command.add_option("--train", options.train, "Problems to learn from").show_default();
  command.add_option("--cold-start-clean", options.cold_start_clean, "Right demonstrations")
      .show_default();
  command.add_option("--cold-start-noisy", options.cold_start_noisy, "Imperfect demonstrations")
      .show_default();
  command.add_option("--held-out", options.held_out, "Problems that occur in no other file")
      .show_default();
  command.add_option("--share-guess", options.share_guess, "Noisy: share without any working")
      .show_default();
  command
      .add_option("--share-wrong", options.share_wrong,
                  "Noisy: share of the rest with one wrong step")
      .show_default();
  command.callback([state, &exit_code] { run(*state, exit_code); });
}

void add_programs(Command& make_data, int& exit_code) {
  Command command = make_data.add_command(
      "programs", "One-line Python functions from a specification in words, with hidden tests");
  command.footer(
      "Writes train.jsonl, cold_start_clean.jsonl, cold_start_noisy.jsonl and held_out.jsonl.\n"
      "Example:\n  troupe make-data programs --out data --steps 2-3");
  auto state = std::make_shared<ProgramsCommand>();
  model::ProgramsOptions& options = state->options;
  command.add_option("--out", state->out, "Folder for the files; created if missing").required();
  command.add_flag("--overwrite", state->overwrites, "Replace files that are there");
  command.add_option("--seed", options.seed, "The files are a function of it and the options")
      .check(check_whole_number)
      .show_default();
  command.add_option("--steps", state->steps, "How many steps a specification has").show_default();
  command.add_option("--tests", options.tests, "Hidden tests of a problem").show_default();
  command.add_option("--train", options.train, "Problems to learn from").show_default();
  command.add_option("--cold-start-clean", options.cold_start_clean, "Right demonstrations")
      .show_default();
  command.add_option("--cold-start-noisy", options.cold_start_noisy, "Careless demonstrations")
      .show_default();
  command
      .add_option("--held-out", options.held_out,
                  "Problems whose compositions of steps occur in no other file")
      .show_default();
  command
      .add_option("--share-careless", options.share_careless,
                  "Noisy: share of demonstrations that leave out brackets")
      .show_default();
  command.callback([state, &exit_code] { run(*state, exit_code); });
}

}  // namespace

void add_make_data(Command& program, int& exit_code) {
  Command command = program.add_command("make-data", "Write problems to train on");
  command.footer("Example:\n  troupe make-data arithmetic --out data");
  command.require_command();
  add_arithmetic(command, exit_code);
  add_programs(command, exit_code);
}

}  // namespace troupe::cluster

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/cli/command.h"
#include "model/data/arithmetic.h"

namespace troupe::cluster {
namespace {

struct ArithmeticCommand {
  model::ArithmeticOptions options{};
  std::string operands = "3-5";
  std::string out{};
};

bool parse_count(std::string_view text, int64_t& count) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size();
}

// "3-5" or "4".
Status parse_operands(std::string_view text, model::ArithmeticOptions& options) {
  const size_t dash = text.find('-');
  const std::string_view last = dash == std::string_view::npos ? text : text.substr(dash + 1);
  if (!parse_count(text.substr(0, dash), options.operands_min) ||
      !parse_count(last, options.operands_max)) {
    return invalid_argument(
        fmt::format("--operands {}: must be a number or a range such as 3-5", text));
  }
  return ok();
}

Status make(ArithmeticCommand& command) {
  if (Status status = parse_operands(command.operands, command.options); !status) return status;
  return model::make_arithmetic(command.options, command.out);
}

void add_arithmetic(CLI::App& make_data, int& exit_code) {
  CLI::App* command = make_data.add_subcommand(
      "arithmetic", "Digits joined by operators, worked out from left to right");
  command->footer(
      "Writes train.jsonl, cold_start_clean.jsonl, cold_start_noisy.jsonl and held_out.jsonl.\n"
      "Example:\n  troupe make-data arithmetic --out data --task mod10 --operands 3-5");
  auto state = std::make_shared<ArithmeticCommand>();
  model::ArithmeticOptions& options = state->options;
  command->add_option("--out", state->out, "Folder for the files; created if missing")->required();
  command->add_option("--seed", options.seed, "The files are a function of it and the options")
      ->capture_default_str();
  command->add_option("--task", options.task, "mod10: + - * modulo 10; natural: + - within 0..99")
      ->check(CLI::IsMember({"mod10", "natural"}))
      ->capture_default_str();
  command->add_option("--operands", state->operands, "How many digits a problem has")
      ->capture_default_str();
  command->add_option("--train", options.train, "Problems to learn from")->capture_default_str();
  command->add_option("--cold-start-clean", options.cold_start_clean, "Right demonstrations")
      ->capture_default_str();
  command->add_option("--cold-start-noisy", options.cold_start_noisy, "Imperfect demonstrations")
      ->capture_default_str();
  command->add_option("--held-out", options.held_out, "Problems that occur in no other file")
      ->capture_default_str();
  command->add_option("--share-guess", options.share_guess, "Noisy: share without any working")
      ->capture_default_str();
  command
      ->add_option("--share-wrong", options.share_wrong,
                   "Noisy: share of the rest with one wrong step")
      ->capture_default_str();
  command->callback([state, &exit_code] {
    const Status status = make(*state);
    if (!status) {
      exit_code = report("make-data", status.error());
      return;
    }
    std::printf(
        "%s has train.jsonl, cold_start_clean.jsonl, cold_start_noisy.jsonl, "
        "held_out.jsonl\n",
        state->out.c_str());
    exit_code = 0;
  });
}

}  // namespace

void add_make_data(CLI::App& program, int& exit_code) {
  CLI::App* command = program.add_subcommand("make-data", "Write problems to train on");
  command->footer("Example:\n  troupe make-data arithmetic --out data");
  command->require_subcommand(1);
  add_arithmetic(*command, exit_code);
}

}  // namespace troupe::cluster

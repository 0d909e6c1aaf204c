// eval, generate and score: what can be asked of a checkpoint.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "actors/controller/evaluate.h"
#include "actors/job/prepared_job.h"
#include "actors/verifier/verifier_table.h"
#include "cluster/cli/command.h"
#include "cluster/cli/input_lines.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/number_checks.h"
#include "cluster/jobs/job_file.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/data/json_row.h"
#include "model/data/prompt_template.h"
#include "model/loaded_policy.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct PolicyCommand {
  std::string model{};
  std::string data{};
  std::string rewards{};  // A job file.
  std::vector<std::string> columns{};
  std::string precision = "bf16";
  std::string prompt_template{model::PromptTemplate::kOfModel};
  std::vector<std::string> prompts{};
  int64_t problems = 500;
  int64_t samples = 1;
  int64_t max_response_tokens = 96;
  int threads = 0;
  double temperature = 0;
  double top_p = 1;
  uint64_t seed = 1;
  bool is_json = false;
};

using Loaded = std::unique_ptr<model::LoadedPolicy>;

Result<Loaded> load(const PolicyCommand& command) {
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  return model::LoadedPolicy::load(
      **backend, command.model,
      {.precision =
           command.precision == "fp32" ? kernels::Precision::kFp32 : kernels::Precision::kBf16,
       .threads = command.threads > 0 ? command.threads : actors::available_cores()});
}

Result<actors::PromptFormat> format_of(const model::LoadedPolicy& policy,
                                       const PolicyCommand& command) {
  return actors::prompt_format(command.prompt_template, policy.checkpoint().text, policy.config());
}

Result<std::unique_ptr<model::Generator>> make_generator(model::LoadedPolicy& policy,
                                                         const PolicyCommand& command,
                                                         int64_t prompt_tokens_max) {
  const int64_t context = prompt_tokens_max + command.max_response_tokens;
  if (context > policy.config().max_position_embeddings) {
    return invalid_argument(fmt::format("prompt and response of {} tokens exceed the model's {}",
                                        context, policy.config().max_position_embeddings));
  }
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  return model::Generator::create(
      **backend, policy.config(), policy.threads(),
      {.precision =
           command.precision == "fp32" ? kernels::Precision::kFp32 : kernels::Precision::kBf16,
       .context_max = context,
       .sequences_max = std::max<int64_t>(256, command.samples)});
}

// "prompt=NAME" and "answer=NAME".
Result<model::ColumnNames> column_names(const std::vector<std::string>& texts) {
  model::ColumnNames names;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    const std::string key = text.substr(0, equals);
    if (equals == text.npos || equals + 1 == text.size() || (key != "prompt" && key != "answer")) {
      return invalid_argument("--columns " + text +
                              ": must be prompt=NAME or answer=NAME, the names of the file's "
                              "columns");
    }
    (key == "prompt" ? names.prompt : names.answer) = text.substr(equals + 1);
  }
  return names;
}

// How far an evaluation is, for people: a line on standard error every few seconds.
class EvalProgress {
 public:
  explicit EvalProgress(int64_t problems) : problems_(problems) {}

  void show(int64_t finished) {
    constexpr std::chrono::seconds kEvery{3};
    const auto now = Clock::now();
    if (now - shown_ < kEvery) return;
    shown_ = now;
    const auto so_far = std::chrono::duration<double>(now - start_);
    const double left = finished > 0 ? so_far.count() * static_cast<double>(problems_ - finished) /
                                           static_cast<double>(finished)
                                     : 0;
    fmt::print(stderr, "{} of {} problems answered{}\n", finished, problems_,
               finished > 0 ? fmt::format(", about {:.0f} s left", left) : "");
  }

 private:
  using Clock = std::chrono::steady_clock;

  const int64_t problems_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
};

Status eval(const PolicyCommand& command) {
  auto policy = load(command);
  if (!policy) return policy.error();
  const auto format = format_of(**policy, command);
  if (!format) return format.error();
  const auto columns = column_names(command.columns);
  if (!columns) return columns.error();
  std::vector<RewardSpec> rewards;
  if (!command.rewards.empty()) {
    auto job = load_job(command.rewards);
    if (!job) return job.error();
    rewards = std::move(job->rewards);
    if (Status status = actors::check_rewards(rewards); !status) {
      return invalid_argument(command.rewards + ": " + status.error().message);
    }
  }
  const int64_t context = (*policy)->config().max_position_embeddings;
  if (command.max_response_tokens >= context) {
    return invalid_argument(
        fmt::format("--max-response-tokens {} leaves no room for a prompt in the model's {} tokens",
                    command.max_response_tokens, context));
  }
  std::vector<std::string> notes;
  auto problems = actors::load_prompts(command.data, *format,
                                       {.max_prompt_tokens = context - command.max_response_tokens,
                                        .rewards = rewards,
                                        .columns = *columns},
                                       notes);
  if (!problems) return problems.error();
  for (const auto& note : notes) fmt::print(stderr, "{}\n", note);
  if (rewards.empty()) {
    const auto kind = problems->front().kind;
    const bool is_mixed = std::any_of(problems->begin(), problems->end(),
                                      [&](const auto& problem) { return problem.kind != kind; });
    if (is_mixed) {
      return invalid_argument(command.data +
                              " has problems with an answer and problems with tests; say which are "
                              "meant with --rewards JOB.toml, or split the file");
    }
    rewards = actors::rewards_for(kind);
  }
  const size_t count = std::min(problems->size(), static_cast<size_t>(command.problems));
  const auto asked = std::span<const actors::PromptTokens>(*problems).first(count);
  int64_t longest = 1;
  for (const auto& problem : asked) {
    longest = std::max(longest, static_cast<int64_t>(problem.tokens.size()));
  }
  auto generator = make_generator(**policy, command, longest);
  if (!generator) return generator.error();
  watch_for_interrupts();
  EvalProgress progress(static_cast<int64_t>(count));
  auto evaluation = actors::evaluate(**generator, (*policy)->weights(), *format, asked, rewards,
                                     {.seed = command.seed,
                                      .temperature = command.temperature,
                                      .top_p = command.top_p,
                                      .max_response_tokens = command.max_response_tokens},
                                     [&](int64_t finished) {
                                       progress.show(finished);
                                       return !is_interrupted();
                                     });
  if (!evaluation) return evaluation.error();
  const EvalMetrics& m = evaluation->metrics;
  if (evaluation->num_cut * 10 > m.problems) {
    fmt::print(stderr, "{} of {} responses were cut at --max-response-tokens {}; raise it\n",
               evaluation->num_cut, m.problems, command.max_response_tokens);
  }
  const auto [low, high] = wilson_interval_95(m.solved, m.problems);
  const double rate = m.seconds > 0 ? static_cast<double>(m.tokens_generated) / m.seconds : 0;
  if (command.is_json) {
    const nlohmann::ordered_json json{{"pass_at_1", m.pass_at_1()},
                                      {"interval_95", {low, high}},
                                      {"problems", m.problems},
                                      {"solved", m.solved},
                                      {"temperature", m.temperature},
                                      {"response_length_mean", m.response_length_mean},
                                      {"responses_cut", evaluation->num_cut},
                                      {"tokens_per_second", rate}};
    return print_line(to_text(json));
  }
  return print_line(fmt::format(
      "pass@1 {:.1f} % [{:.1f}, {:.1f}] on {} problems, {:.1f} tokens a response, "
      "{:.0f} tokens/s",
      100 * m.pass_at_1(), 100 * low, 100 * high, m.problems, m.response_length_mean, rate));
}

Status generate_one(model::LoadedPolicy& policy, const PolicyCommand& command,
                    const actors::PromptFormat& format, const std::string& prompt,
                    uint32_t ordinal) {
  auto tokens =
      format.prompt_template.render({{.role = "user", .content = prompt}}, format.tokenizer);
  if (!tokens) return tokens.error();
  auto generator = make_generator(policy, command, static_cast<int64_t>(tokens->size()));
  if (!generator) return generator.error();
  const model::GroupRequest request{
      .prompt = *tokens,
      .num_samples = static_cast<int32_t>(command.samples),
      .key = {.seed = command.seed,
              .stream = static_cast<uint32_t>(kernels::StreamId::kEval),
              .ordinal = ordinal}};
  const auto responses = (*generator)
                             ->generate(policy.weights(), std::span(&request, 1),
                                        {.temperature = static_cast<float>(command.temperature),
                                         .top_p = static_cast<float>(command.top_p),
                                         .max_response_tokens = command.max_response_tokens,
                                         .stop_tokens = format.stop_tokens},
                                        {.progressed = [](int64_t) { return !is_interrupted(); }});
  if (is_interrupted()) return stopped();
  for (const auto& response : responses[0]) {
    const std::string text = format.tokenizer.decode(response.tokens);
    if (!command.is_json) {
      if (Status written = print_line(text); !written) return written;
      continue;
    }
    const nlohmann::ordered_json json{
        {"prompt", prompt},
        {"response", text},
        {"tokens", response.tokens},
        {"logprobs", response.logprobs},
        {"finish_reason", response.finish_reason == FinishReason::kStop ? "stop" : "length"}};
    const Status written = print_line(to_text(json, {.replaces_invalid = true}));
    if (!written) return written;
  }
  return ok();
}

Status generate(const PolicyCommand& command) {
  auto policy = load(command);
  if (!policy) return policy.error();
  const auto format = format_of(**policy, command);
  if (!format) return format.error();
  watch_for_interrupts();
  uint32_t ordinal = 0;
  for (const auto& prompt : command.prompts) {
    const Status status = generate_one(**policy, command, *format, prompt, ordinal++);
    if (!status) return status;
  }
  if (!command.prompts.empty()) return ok();
  InputLines input;
  while (true) {
    auto line = input.next();
    if (!line) return line.error();
    if (!*line && ordinal == 0) {
      return invalid_argument("no prompt: give one with --prompt, or lines on standard input");
    }
    if (!*line) return ok();
    const Status status = generate_one(**policy, command, *format, **line, ordinal++);
    if (!status) return status;
  }
}

Result<std::vector<int32_t>> parse_tokens(const std::string& line, int64_t number) {
  const std::string where = fmt::format("standard input:{}: ", number);
  nlohmann::json json;
  // A key that is there twice is a fault for this reader.
  if (const auto fault = model::read_json(line, json); fault && json.is_object()) {
    return invalid_argument(where + "not JSON: " + fault->what);
  }
  if (!json.is_object() || !json.contains("tokens") || !json["tokens"].is_array()) {
    return invalid_argument(where + "wanted a JSON object with a list \"tokens\"");
  }
  std::vector<int32_t> tokens;
  for (const auto& token : json["tokens"]) {
    if (!token.is_number_integer() || token < 0 || token > INT32_MAX) {
      return invalid_argument(where + "\"tokens\" holds something other than token ids");
    }
    tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

Status score(const PolicyCommand& command) {
  auto policy = load(command);
  if (!policy) return policy.error();
  InputLines input;
  while (true) {
    auto line = input.next();
    if (!line) return line.error();
    if (!*line) return ok();
    const int64_t number = input.number();
    auto tokens = parse_tokens(**line, number);
    if (!tokens) return tokens.error();
    const std::vector<std::vector<int32_t>> one{std::move(*tokens)};
    auto scores = (*policy)->score(
        one, command.temperature > 0 ? static_cast<float>(command.temperature) : 1.0f);
    if (!scores) {
      return invalid_argument(fmt::format("standard input:{}: {}", number, scores.error().message));
    }
    // The shortest digits that give back every float exactly.
    std::string out = "{\"logprobs\":[";
    for (size_t i = 0; i < (*scores)[0].size(); ++i) {
      // JSON has no number for what is not finite.
      const float value = (*scores)[0][i];
      out += i == 0 ? "" : ",";
      out += std::isfinite(value) ? fmt::format("{}", value) : "null";
    }
    if (Status written = print_line(out + "]}"); !written) return written;
  }
}

std::shared_ptr<PolicyCommand> add_common(Command& command) {
  auto state = std::make_shared<PolicyCommand>();
  command
      .add_option("--model", state->model,
                  "Folder with config.json and safetensors, or a GGUF file")
      .required();
  command.add_option("--threads", state->threads, "0: all cores of this machine").range(0, 1024);
  command.add_option("--precision", state->precision, "bf16, or fp32 for checks")
      .one_of({"bf16", "fp32"})
      .show_default();
  command.add_option("--temperature", state->temperature, "0: the likeliest token each time")
      .range(0.0, 100.0)
      .check(check_is_number)
      .show_default();
  return state;
}

void add_sampling(Command& command, PolicyCommand& state) {
  command
      .add_option("--template", state.prompt_template,
                  "How a prompt is put; model: as the policy's own files say")
      .show_default();
  command.add_option("--top-p", state.top_p, "Share of probability that may be sampled")
      .range(1e-6, 1.0)
      .check(check_is_number)
      .show_default();
  command.add_option("--max-response-tokens", state.max_response_tokens, "Then a response is cut")
      .range(1, 1 << 20)
      .show_default();
  command.add_option("--seed", state.seed, "Of the samples")
      .check(check_whole_number)
      .show_default();
  command.add_flag("--json", state.is_json, "JSON on standard output");
}

}  // namespace

void add_eval(Command& program, int& exit_code) {
  Command command = program.add_command("eval", "pass@1 of a policy on a file of problems");
  command.footer(
      "Example:\n  troupe eval --model runs/quickstart/checkpoints/step_2560 "
      "--data runs/quickstart/data/held_out.jsonl --temperature 1 --json");
  auto state = add_common(command);
  command
      .add_option("--data", state->data,
                  "Problems with an answer or with tests: JSON lines, a JSON list or CSV, also "
                  "compressed with gzip or zstd")
      .required();
  command.add_option("--rewards", state->rewards,
                     "A job file whose [rewards] judge; without it answers are compared as by "
                     "\"math\" and tests run as by \"code\"");
  command
      .add_option("--columns", state->columns,
                  "prompt=NAME,answer=NAME where the file's columns are not known by name")
      .separated_by(',');
  command.add_option("--problems", state->problems, "The first so many of the file")
      .range(1, 1'000'000'000)
      .show_default();
  add_sampling(command, *state);
  command.callback([state, &exit_code] {
    const Status status = eval(*state);
    exit_code = status ? 0 : report("eval", status.error());
  });
}

void add_generate(Command& program, int& exit_code) {
  Command command = program.add_command("generate", "Responses of a policy to prompts");
  command.footer(
      "Prompts come from --prompt or, one a line, from standard input.\n"
      "Example:\n  troupe generate --model runs/quickstart/checkpoints/step_2560 "
      "--prompt '7*4+3+4=?'");
  auto state = add_common(command);
  command.add_option("--prompt", state->prompts, "A prompt; may be given several times")
      .may_repeat();
  command.add_option("--samples", state->samples, "Responses to each prompt")
      .range(1, 4096)
      .show_default();
  add_sampling(command, *state);
  command.callback([state, &exit_code] {
    const Status status = generate(*state);
    exit_code = status ? 0 : report("generate", status.error());
  });
}

void add_score(Command& program, int& exit_code) {
  Command command =
      program.add_command("score", "Log-probabilities of given tokens under a policy");
  command.footer(
      "Reads {\"tokens\":[...]} a line, writes {\"logprobs\":[...]} for all but the "
      "first token.\n"
      "Example:\n  echo '{\"tokens\":[257,55,43,52,61,63]}' | troupe score --model DIR");
  auto state = add_common(command);
  command.callback([state, &exit_code] {
    const Status status = score(*state);
    exit_code = status ? 0 : report("score", status.error());
  });
}

}  // namespace troupe::cluster

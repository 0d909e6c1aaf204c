#include "actors/controller/evaluate.h"

#include <fmt/format.h>

#include <chrono>

#include "actors/verifier/format_verdict.h"
#include "actors/verifier/judge.h"
#include "actors/verifier/verifier_table.h"
#include "kernels/random.h"

namespace troupe::actors {

Result<Evaluation> evaluate(model::Generator& generator, const model::PolicyWeights& weights,
                            const PromptFormat& format, std::span<const PromptTokens> problems,
                            const std::vector<RewardSpec>& rewards, const EvaluateOptions& options,
                            const std::function<bool(int64_t)>& progressed) {
  // What cannot be judged is not generated.
  auto judge = Judge::create(rewards);
  if (!judge) return judge.error();
  const auto start = std::chrono::steady_clock::now();
  std::vector<model::GroupRequest> requests;
  for (size_t i = 0; i < problems.size(); ++i) {
    requests.push_back({.prompt = problems[i].tokens,
                        .num_samples = 1,
                        .key = {.seed = options.seed,
                                .round = number(options.version),
                                .stream = static_cast<uint32_t>(kernels::StreamId::kEval),
                                .ordinal = static_cast<uint32_t>(i)}});
  }
  bool is_stopped = false;
  const auto responses =
      generator.generate(weights, requests,
                         {.temperature = static_cast<float>(options.temperature),
                          .top_p = static_cast<float>(options.top_p),
                          .max_response_tokens = options.max_response_tokens,
                          .stop_tokens = format.stop_tokens},
                         {.progressed = [&](int64_t finished) {
                           is_stopped = is_stopped || (progressed && !progressed(finished));
                           return !is_stopped;
                         }});
  if (is_stopped) return Error{ErrorCode::kStopped, "stopped while evaluating"};

  Evaluation evaluation;
  EvalMetrics& metrics = evaluation.metrics;
  metrics.version = options.version;
  metrics.temperature = options.temperature;
  metrics.problems = static_cast<int64_t>(problems.size());
  const size_t accuracy = accuracy_part(rewards);
  double thinking = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    const model::Response& response = responses[i][0];
    const std::string text = format.tokenizer.decode(response.tokens);
    const Verdict verdict =
        (*judge)->judge({.prompt = problems[i].text,
                         .text = text,
                         .gold = problems[i].gold,
                         .num_tokens = static_cast<int64_t>(response.tokens.size()),
                         .is_truncated = response.finish_reason == FinishReason::kLength});
    const VerdictPart& part = verdict.parts[accuracy];
    if (part.kind == VerdictKind::kInfraError) {
      return Error{ErrorCode::kInternal,
                   fmt::format("problem {} could not be judged: {}", i, part.reason)};
    }
    const bool is_solved = part.is_right();
    metrics.solved += is_solved ? 1 : 0;
    evaluation.num_cut += response.finish_reason == FinishReason::kLength ? 1 : 0;
    metrics.tokens_generated += static_cast<int64_t>(response.tokens.size());
    thinking += has_thinking(text) ? 1 : 0;
    if (i < options.num_traces) {
      evaluation.traces.push_back(
          {problems[i].text, text, problems[i].gold_for_people(), is_solved});
    }
  }
  const auto n = static_cast<double>(problems.size());
  metrics.response_length_mean = static_cast<double>(metrics.tokens_generated) / n;
  metrics.thinking_share = thinking / n;
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

}  // namespace troupe::actors

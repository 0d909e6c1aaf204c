// pass@1 on a set of problems: one sample per problem, judged by the job's rewards.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "actors/job/job_data.h"
#include "actors/metrics_sink.h"
#include "model/generation/generator.h"
#include "schemas/job.h"
#include "schemas/metrics.h"

namespace troupe::actors {

struct EvaluateOptions {
  uint64_t seed = 1;
  PolicyVersion version{};  // Part of the random numbers' identity.
  double temperature = 0;
  double top_p = 1;
  int64_t max_response_tokens = 96;
  size_t num_traces = 3;
};

struct Evaluation {
  EvalMetrics metrics{};
  int64_t num_cut = 0;          // Responses that reached max_response_tokens.
  std::vector<Trace> traces{};  // Of the first problems.
};

// kStopped when `progressed` returned false, kInternal when a verifier failed. What fails the job's
// rewards (Judge::create) fails here.
Result<Evaluation> evaluate(model::Generator& generator, const model::PolicyWeights& weights,
                            const PromptFormat& format, std::span<const PromptTokens> problems,
                            const std::vector<RewardSpec>& rewards, const EvaluateOptions& options,
                            const std::function<bool(int64_t)>& progressed);

}  // namespace troupe::actors

// Samples responses: continuous batching over a paged latent cache.
//
// The prompt of a group is computed once and its blocks are shared by the group's samples. When the
// cache is full the youngest sequence is evicted and later computed again from its tokens. None of
// this reaches a result: a token is a function of the weights, the tokens before it and its key.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/transformer/transformer.h"
#include "schemas/result.h"
#include "schemas/trajectory.h"

namespace troupe::model {

// A response as far as it was generated before, by the same weights; it is gone on with.
struct BegunResponse {
  std::vector<int32_t> tokens{};  // Not one that ends a response, and fewer than the longest has.
  std::vector<float> logprobs{};
};

struct GroupRequest {
  std::vector<int32_t> prompt{};  // At least one token.
  int32_t num_samples = 1;
  // seed, stream, round and ordinal of the group; sample and position are filled in per token.
  kernels::SampleKey key{};
  std::vector<BegunResponse> begun{};  // By sample, or empty.
};

// Tokens of a response from `begin` on, sampled after so many updates of the weights.
struct SampledSpan {
  uint32_t begin = 0;
  uint32_t num_updates = 0;
  bool operator==(const SampledSpan&) const = default;
};

struct Response {
  std::vector<int32_t> tokens{};     // The stop token included, when one was sampled.
  std::vector<float> logprobs{};     // Of each token, at the sampling temperature, before top-p.
  std::vector<SampledSpan> spans{};  // In order; the first begins at 0.
  FinishReason finish_reason = FinishReason::kStop;
};

struct SamplingOptions {
  float temperature = 1;
  float top_p = 1;
  int64_t max_response_tokens = 96;
  std::vector<int32_t> stop_tokens{};  // Each ends a response.
};

// How a caller follows a generation that is under way.
struct GenerationObserver {
  // Called after each step of a thread, from that thread.
  std::function<void()> stepped{};
  // Told, from the calling thread, how many sequences are finished; when it returns false,
  // generation ends early and what is unfinished is kAborted.
  std::function<bool(int64_t sequences_finished)> progressed{};
  // Given each group as its last sample is finished, from any thread, one call at a time; such
  // groups are then empty in the result.
  std::function<void(size_t request, std::vector<Response> responses)> group_finished{};
  // Given each response after every `segment_tokens` new tokens, 0: never, unless it is finished;
  // from any thread, one call at a time.
  int64_t segment_tokens = 0;
  std::function<void(size_t request, int32_t sample, const Response& so_far)> segment_ended{};
  // Asked before every token, from any thread; when it returns true, all sequences stop at their
  // next token, `update` changes the weights, from the calling thread, and they go on: a token is
  // sampled as if everything before it had been written by the weights of its own span.
  std::function<bool()> wants_update{};
  std::function<void()> update{};
};

class Generator {
 public:
  struct Options {
    kernels::Precision precision = kernels::Precision::kBf16;
    int64_t cache_bytes = 512 << 20;  // Of all threads together.
    int64_t context_max = 0;          // Longest prompt and response together.
    int64_t sequences_max = 256;      // In one thread's batch.
    int64_t batch_tokens_max = 512;   // In one thread's forward.
  };
  struct Statistics {
    int64_t tokens_computed = 0;  // Through the forward, prompts and repetitions included.
    int64_t sequences_evicted = 0;
    int64_t tokens_repeated = 0;  // Computed again after an eviction.
    int64_t blocks_copied = 0;    // Shared blocks that somebody had to write into.
  };

  // kInvalidArgument when the cache does not hold one sequence of context_max tokens per thread.
  static Status check(const TransformerConfig& config, int num_threads, const Options& options);

  // As check() fails.
  static Result<std::unique_ptr<Generator>> create(const kernels::Backend& backend,
                                                   const TransformerConfig& config,
                                                   Threads& threads, Options options);
  ~Generator();

  // Responses by request and sample.
  std::vector<std::vector<Response>> generate(const PolicyWeights& weights,
                                              std::span<const GroupRequest> requests,
                                              const SamplingOptions& sampling,
                                              const GenerationObserver& observer = {});

  Statistics statistics() const;

 private:
  class Engine;
  Generator(Threads& threads, Options options);

  Threads& threads_;
  const Options options_;
  std::vector<std::unique_ptr<Engine>> engines_;
};

}  // namespace troupe::model

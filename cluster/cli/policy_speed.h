// How fast a policy decodes, reads prompts and learns here, what bounds it, and where the time
// goes.
//
// Two policies are those that were measured in other programs: `bench-llama` (dense, one key and
// value per head) and `bench-moe` (latent attention, 16 experts of which 4), 8 layers of width 512
// and a vocabulary of 8192 each. `bench-135m` has the shape of a small model that people train:
// SmolLM2's 135 million weights, a third of them its vocabulary's. Weights and tokens are random.
//
// A run is bounded by the larger of two times: its multiplications and additions at the ceiling of
// the instruction set, and the bytes that it cannot but read at that of the memory that holds them.
// Bytes are weights in bf16, of experts those that are expected to be asked, and keys and values of
// the context.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/backend.h"
#include "kernels/profile.h"
#include "model/device.h"
#include "model/training/learner.h"
#include "model/transformer/parameter_layout.h"
#include "model/transformer/policy_weights.h"

namespace troupe::cluster {

// One of PolicyBench::kConfigs.
model::TransformerConfig bench_config(std::string_view name);

struct PolicySpeed {
  std::string shape{};
  std::vector<double> tokens_per_second{};  // Of all threads together, one entry per run.
  // Of one thread's part, per token.
  double flops_per_token = 0;
  double bytes_per_token = 0;
  double working_set_bytes = 0;  // What one thread reads again and again.
  double seconds = 0;            // Of one run that was profiled, all threads together.
  std::vector<kernels::OperationTime> operations{};
};

class PolicyBench {
 public:
  static constexpr std::string_view kConfigs[] = {"bench-llama", "bench-moe", "bench-135m"};

  // `config` is one of kConfigs.
  PolicyBench(const kernels::Backend& backend, std::string_view config, int num_threads);
  PolicyBench(const kernels::Backend& backend, const model::TransformerConfig& config,
              int num_threads);

  // Steps of `batch` sequences per thread, each adding a token to a context of that length.
  PolicySpeed decode(int64_t batch, int64_t context);
  // A prompt of 512 tokens per thread.
  PolicySpeed prefill();
  // GRPO steps, in micro-batches of 1024 tokens.
  PolicySpeed train();

  // Whether the keys and values of all threads leave half of the memory free.
  bool has_memory_for(int64_t batch, int64_t context) const;

 private:
  class Forward;

  PolicySpeed forwards(int64_t batch, int64_t context, int64_t num_queries);
  // Warms up, runs `work` until there are enough runs of `tokens` each, then once more profiled.
  void measure(PolicySpeed& speed, double tokens, const std::function<void()>& work);

  const kernels::Backend& backend_;
  kernels::Backend table_;  // What the policy calls: `backend_`, or that under a profile.
  model::TransformerConfig config_;
  model::ParameterLayout layout_;
  model::Threads threads_;
  std::vector<float> initial_;
  std::unique_ptr<model::PolicyWeights> weights_;  // Made for the first forward.
};

}  // namespace troupe::cluster

// Forward and backward of policies on the kernels of CUDA, against the CPU's.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/transformer/transformer.h"
#include "tests/support/cuda_emulated/cuda_emulated.h"
#include "tests/support/simt/simt.h"
#include "tests/support/tiny_policy.h"
#include "tests/support/training_batch.h"

namespace troupe::model {
namespace {

using cuda_reference::TensorCore;

struct Passed {
  std::vector<float> logprobs{};
  std::vector<float> gradient{};  // Of the mean negative log-probability, by layout.
};

Passed pass(const kernels::Backend& backend, const TransformerConfig& config) {
  const ParameterLayout layout(config);
  const std::vector<float> values = tests::lively_parameters(config, layout, 3, 2);
  Threads threads{1};
  DeviceBuffer<float> masters(backend, layout.num_floats()), gradient(backend, layout.num_floats());
  DeviceBuffer<int64_t> counts(backend, config.num_hidden_layers * (config.n_routed_experts + 1));
  PolicyWeights weights(backend, config, layout, {.is_trainable = true});
  Transformer transformer(
      backend, config,
      {.tokens_max = 64, .logits_max = 64, .context_max = 64, .is_trainable = true});
  kernels::Stream* stream = transformer.stream();
  backend.upload(stream, masters.get().address, values.data(), layout.num_floats() * 4);
  weights.publish(threads, {stream}, masters.get());
  const std::vector<std::vector<int32_t>> sequences = {
      {5, 9, 3, 44, 17, 2, 31, 8, 8, 12}, {7, 40, 41}, {20, 21, 22, 23, 24, 25, 26, 27, 28}};
  tests::TrainingBatch data(backend, stream, sequences);
  const int64_t n = data.batch.num_logits;
  transformer.forward_training(weights, data.batch, data.target, 1.0f, counts.get());
  DeviceBuffer<float> dlogprob(backend, n);
  const std::vector<float> d(static_cast<size_t>(n), -1.0f / static_cast<float>(n));
  backend.upload(stream, dlogprob.get().address, d.data(), n * 4);
  transformer.backward(weights, data.batch, data.target, dlogprob.get(), 1.0f, gradient.get(),
                       true);
  return {tests::download(backend, stream, transformer.logprobs(), n),
          tests::download(backend, stream, gradient.get(), layout.num_floats())};
}

TEST_CASE("cuda forward and backward: every family as the CPU has it, within bf16") {
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    const TransformerConfig config = tests::tiny_config(family);
    const Passed want = pass(*kernels::cpu_backends().front(), config);
    for (const TensorCore core : {TensorCore::kSm90, TensorCore::kSm80}) {
      const kernels::Backend& backend = tests::cuda_emulated(core);
      const uint64_t launches = simt::counts().launches;
      const Passed got = pass(backend, config);
      CHECK(simt::counts().launches > launches + 50);
      double worst = 0, difference = 0, size = 0;
      for (size_t i = 0; i < want.logprobs.size(); ++i) {
        worst = std::max(worst, std::abs(double{got.logprobs[i]} - double{want.logprobs[i]}));
      }
      for (size_t i = 0; i < want.gradient.size(); ++i) {
        difference += std::pow(double{got.gradient[i]} - double{want.gradient[i]}, 2.0);
        size += std::pow(double{want.gradient[i]}, 2.0);
      }
      MESSAGE("family " << static_cast<int>(family) << ": log-probabilities differ by " << worst
                        << ", the gradient by " << std::sqrt(difference / size) << " of its size");
      CHECK(worst < 1e-2);
      CHECK(difference < 1e-4 * size);
    }
  }
}

}  // namespace
}  // namespace troupe::model

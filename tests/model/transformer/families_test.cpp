// Forward and backward of every family, without another implementation to hold them against.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/transformer/transformer.h"
#include "tests/support/tiny_policy.h"
#include "tests/support/training_batch.h"

namespace troupe::model {
namespace {

using kernels::Precision;

struct Policy {
  // In float, for finite differences, unless another precision is given.
  explicit Policy(const TransformerConfig& architecture, Precision precision = Precision::kFp32,
                  const kernels::Backend& device = *kernels::cpu_backends().front())
      : backend(device),
        config(architecture),
        layout(config),
        values(tests::lively_parameters(config, layout, 3, 2)),
        masters(backend, layout.num_floats()),
        gradient(backend, layout.num_floats()),
        counts(backend, config.num_hidden_layers * std::max<int64_t>(1, config.n_routed_experts)),
        weights(backend, config, layout, {.precision = precision, .is_trainable = true}),
        transformer(backend, config,
                    {.precision = precision,
                     .tokens_max = 64,
                     .logits_max = 64,
                     .context_max = 64,
                     .is_trainable = true}) {
    // Biases are made zero, and would have no part in this.
    kernels::RandomStream random(5, kernels::StreamId::kInit);
    for (const auto& [shape, offset] : layout.by_name()) {
      if (shape.is_matrix()) continue;
      for (int64_t i = 0; i < shape.size(); ++i) {
        values[static_cast<size_t>(offset + i)] += static_cast<float>(0.4 * random.uniform() - 0.2);
      }
    }
  }

  // Mean negative log-probability of all next tokens, and its gradient by layout.
  // With `overwrites` its memory holds no numbers before.
  double loss(const std::vector<float>& at, std::vector<float>* gradient_out = nullptr,
              bool overwrites = false) {
    kernels::Stream* stream = transformer.stream();
    backend.upload(stream, masters.get().address, at.data(), layout.num_floats() * 4);
    weights.publish(threads, {stream}, masters.get());
    tests::TrainingBatch data(backend, stream, sequences);
    const int64_t n = data.batch.num_logits;
    backend.fill_zero(stream, counts.get().address, counts.count() * 8);
    transformer.forward_training(weights, data.batch, data.target, 1.0f, counts.get());
    double sum = 0;
    for (float x : tests::download(backend, stream, transformer.logprobs(), n)) {
      sum -= static_cast<double>(x) / static_cast<double>(n);
    }
    if (gradient_out == nullptr) return sum;
    DeviceBuffer<float> dlogprob(backend, n);
    const std::vector<float> d(static_cast<size_t>(n), -1.0f / static_cast<float>(n));
    backend.upload(stream, dlogprob.get().address, d.data(), n * 4);
    const std::vector<float> before(static_cast<size_t>(layout.num_floats()),
                                    overwrites ? std::nanf("") : 0.0f);
    backend.upload(stream, gradient.get().address, before.data(), layout.num_floats() * 4);
    transformer.backward(weights, data.batch, data.target, dlogprob.get(), 1.0f, gradient.get(),
                         overwrites);
    *gradient_out = tests::download(backend, stream, gradient.get(), layout.num_floats());
    return sum;
  }

  std::vector<int64_t> routing() {
    return tests::download(backend, transformer.stream(), counts.get(), counts.count());
  }

  const kernels::Backend& backend;
  TransformerConfig config;
  ParameterLayout layout;
  std::vector<float> values;
  Threads threads{1};
  DeviceBuffer<float> masters, gradient;
  DeviceBuffer<int64_t> counts;  // Tokens per expert and layer, of the last loss.
  PolicyWeights weights;
  Transformer transformer;
  const std::vector<std::vector<int32_t>> sequences = {
      {5, 9, 3, 44, 17, 2, 31, 8, 8, 12}, {7, 40, 41}, {20, 21, 22, 23, 24, 25, 26, 27, 28}};
};

TEST_CASE("families: along a direction in every parameter, the gradient is the loss's slope") {
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    Policy policy(tests::tiny_config(family));
    std::vector<float> gradient;
    policy.loss(policy.values, &gradient);
    const auto routing = policy.routing();
    uint64_t number = 0;
    for (const auto& [shape, offset] : policy.layout.by_name()) {
      ++number;
      if (shape.is_float32) continue;  // Chooses experts and has no gradient.
      CAPTURE(shape.name);
      // A step that gives a token another expert jumps; a smaller one does not.
      bool is_smooth = false;
      for (float step = 1.0f / 512; step > 1.0f / 20000 && !is_smooth; step /= 4) {
        // Every element by the same amount, up or down.
        kernels::RandomStream random(6, kernels::StreamId::kInit, number);
        auto up = policy.values, down = policy.values;
        double want = 0, size = 0;
        for (int64_t i = offset; i < offset + shape.size(); ++i) {
          const auto at = static_cast<size_t>(i);
          const float move = random.below(2) == 0 ? step : -step;
          up[at] += move;
          down[at] -= move;
          want += static_cast<double>(gradient[at]) * (static_cast<double>(up[at]) - down[at]) / 2;
          size += std::fabs(static_cast<double>(gradient[at] * step));
        }
        const double loss_up = policy.loss(up);
        is_smooth = policy.routing() == routing;
        const double got = (loss_up - policy.loss(down)) / 2;
        is_smooth = is_smooth && policy.routing() == routing;
        if (!is_smooth) continue;
        CAPTURE(step);
        CAPTURE(got);
        CAPTURE(want);
        // Of what wrong signs would change, and float's own noise.
        CHECK(std::fabs(got - want) < 2e-2 * size + 2e-7);
      }
      CHECK(is_smooth);
    }
  }
}

TEST_CASE("families: every parameter that has a gradient has one") {
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    Policy policy(tests::tiny_config(family));
    std::vector<float> gradient;
    policy.loss(policy.values, &gradient);
    for (const auto& [shape, offset] : policy.layout.by_name()) {
      if (shape.is_float32 || shape.name.find(".experts.") != std::string::npos) continue;
      CAPTURE(shape.name);
      double sum = 0;
      for (int64_t i = offset; i < offset + shape.size(); ++i) {
        sum += std::fabs(static_cast<double>(gradient[static_cast<size_t>(i)]));
      }
      CHECK(sum > 0);
    }
  }
}

TEST_CASE("families: a gradient that overwrites anything has the bits of one added to zeros") {
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    for (const bool is_tied : {false, true}) {
      CAPTURE(is_tied);
      TransformerConfig config = tests::tiny_config(family);
      config.tie_word_embeddings = is_tied;
      for (const kernels::Backend* backend : kernels::cpu_backends()) {
        CAPTURE(backend->name);
        Policy policy(config, Precision::kBf16, *backend);
        std::vector<float> added, written;
        policy.loss(policy.values, &added);
        policy.loss(policy.values, &written, /*overwrites=*/true);
        // Gaps between parameters too.
        CHECK(std::memcmp(written.data(), added.data(), added.size() * sizeof(float)) == 0);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::model

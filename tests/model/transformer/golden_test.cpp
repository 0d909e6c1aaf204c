// The transformer against values that the reference implementation gives in double (golden/, made
// by tests/support/oracle/make_golden.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cpu/cpu_backend.h"
#include "model/formats/checkpoint.h"
#include "model/formats/safetensors.h"
#include "model/transformer/transformer.h"
#include "tests/support/training_batch.h"

namespace troupe::model {
namespace {

using kernels::Precision;

struct Golden {
  explicit Golden(const std::string& name) {
    const std::string folder = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/" + name;
    auto loaded = load_checkpoint(folder);
    REQUIRE_MESSAGE(loaded, loaded.error().message);
    checkpoint = *loaded;
    auto file = SafetensorsFile::open(folder + "/golden.safetensors");
    REQUIRE(file);
    for (const auto& tensor : file->tensors()) {
      std::vector<float> values(tensor.bytes.size() / 4);
      std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
      tensors[tensor.name] = values;
    }
    std::ifstream json_file(folder + "/golden.json");
    json = nlohmann::json::parse(json_file);
    sequences = json["sequences"].get<std::vector<std::vector<int32_t>>>();
  }

  Checkpoint checkpoint{};
  std::map<std::string, std::vector<float>> tensors{};
  nlohmann::json json{};
  std::vector<std::vector<int32_t>> sequences{};
};

// A policy that can be trained, in one precision.
struct Trainable {
  Trainable(const kernels::Backend& table, const Golden& golden, Precision precision)
      : backend(table),
        layout(golden.checkpoint.config),
        masters(backend, layout.num_floats()),
        gradient(backend, layout.num_floats()),
        weights(backend, golden.checkpoint.config, layout,
                {.precision = precision, .is_trainable = true}),
        transformer(backend, golden.checkpoint.config,
                    {.precision = precision,
                     .tokens_max = 64,
                     .logits_max = 64,
                     .context_max = 32,
                     .is_trainable = true}) {
    backend.upload(transformer.stream(), masters.get().address, golden.checkpoint.values.data(),
                   layout.num_floats() * 4);
    publish();
  }

  void publish() { weights.publish(threads, {transformer.stream()}, masters.get()); }

  // Mean negative log-probability of all next tokens, and its gradient.
  double loss_and_gradient(const std::vector<std::vector<int32_t>>& sequences) {
    tests::TrainingBatch data(backend, transformer.stream(), sequences);
    const int64_t n = data.batch.num_logits;
    backend.fill_zero(transformer.stream(), gradient.get().address, layout.num_floats() * 4);
    transformer.forward_training(weights, data.batch, data.target, 1.0f);
    DeviceBuffer<float> dlogprob(backend, n);
    const std::vector<float> d(static_cast<size_t>(n), -1.0f / static_cast<float>(n));
    backend.upload(transformer.stream(), dlogprob.get().address, d.data(), n * 4);
    transformer.backward(weights, data.batch, data.target, dlogprob.get(), 1.0f, gradient.get());
    double loss = 0;
    for (float x : tests::download(backend, transformer.stream(), transformer.logprobs(), n)) {
      loss -= static_cast<double>(x) / static_cast<double>(n);
    }
    return loss;
  }

  const kernels::Backend& backend;
  ParameterLayout layout;
  Threads threads{1};
  DeviceBuffer<float> masters, gradient;
  PolicyWeights weights;
  Transformer transformer;
};

double largest(const std::vector<float>& values) {
  double max = 0;
  for (float x : values) max = std::max(max, std::fabs(static_cast<double>(x)));
  return max;
}

// Tolerances are some ten times what the reference implementation itself differs by in the same
// precision: 1.7e-6 for logits and 1.5e-6 of a tensor's largest gradient in float, 4.3e-2
// and 3.9e-2 in bf16.
struct Tolerance {
  Precision precision;
  double logits, loss, gradient;
  double floor;  // Added to a tensor's largest gradient: what rounding leaves of tiny ones.
};
constexpr Tolerance kFloat{Precision::kFp32, 2e-5, 4e-6, 2e-5, 1e-4};
constexpr Tolerance kHalf{Precision::kBf16, 1e-1, 3e-2, 1e-1, 3e-3};

void check_case(const std::string& name, const Tolerance& tolerance) {
  const Golden golden(name);
  for (const kernels::Backend* backend : kernels::cpu_backends()) {
    CAPTURE(backend->name);
    Trainable policy(*backend, golden, tolerance.precision);
    const double loss = policy.loss_and_gradient(golden.sequences);
    CHECK(std::fabs(loss - golden.json["loss"].get<double>()) < tolerance.loss);

    // Rows of logits are those with a target: all but each sequence's last.
    const auto V = static_cast<size_t>(golden.checkpoint.config.vocab_size);
    size_t row = 0;
    const auto logits = tests::download(*backend, policy.transformer.stream(),
                                        policy.transformer.logits(), 24 * static_cast<int64_t>(V));
    for (size_t s = 0; s < golden.sequences.size(); ++s) {
      const auto& want = golden.tensors.at("logits." + std::to_string(s));
      for (size_t t = 0; t + 1 < golden.sequences[s].size(); ++t, ++row) {
        for (size_t v = 0; v < V; ++v) {
          REQUIRE(std::fabs(logits[row * V + v] - want[t * V + v]) < tolerance.logits);
        }
      }
    }

    // Matrices are compared through two projections on a random vector.
    const auto& probe = golden.tensors.at("probe");
    const auto gradient = tests::download(*backend, policy.transformer.stream(),
                                          policy.gradient.get(), policy.layout.num_floats());
    for (const auto& [shape, offset] : policy.layout.by_name()) {
      if (shape.is_float32) continue;
      CAPTURE(shape.name);
      const float* g = gradient.data() + offset;
      const auto compare = [&](const std::string& key, const std::vector<double>& got) {
        const auto& want = golden.tensors.at("grad." + key);
        REQUIRE(want.size() == got.size());
        const double scale = largest(want) + tolerance.floor;
        for (size_t i = 0; i < want.size(); ++i) {
          REQUIRE(std::fabs(got[i] - want[i]) < tolerance.gradient * scale);
        }
      };
      if (!shape.is_matrix()) {
        compare(shape.name, std::vector<double>(g, g + shape.size()));
        continue;
      }
      std::vector<double> rows(static_cast<size_t>(shape.rows)),
          cols(static_cast<size_t>(shape.cols));
      for (int64_t r = 0; r < shape.rows; ++r) {
        for (int64_t c = 0; c < shape.cols; ++c) {
          const double x = g[r * shape.cols + c];
          rows[static_cast<size_t>(r)] += x * probe[static_cast<size_t>(c)];
          cols[static_cast<size_t>(c)] += x * probe[static_cast<size_t>(r)];
        }
      }
      compare(shape.name + ".rows", rows);
      compare(shape.name + ".cols", cols);
    }
  }
}

TEST_CASE("transformer: logits, loss and every gradient agree with the reference in float") {
  check_case("case_a", kFloat);
  check_case("case_b", kFloat);  // Query compression, expert groups, two shared experts.
}

TEST_CASE("transformer: logits, loss and every gradient agree with the reference in bf16") {
  check_case("case_a", kHalf);
  check_case("case_b", kHalf);
}

}  // namespace
}  // namespace troupe::model

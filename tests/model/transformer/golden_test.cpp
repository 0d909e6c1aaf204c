// The transformer against values that the reference implementation gives in double (golden/, made
// by tests/support/oracle/make_golden.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
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

  // Tokens per expert of each layer that has experts, one after another.
  std::vector<int64_t> routing() const {
    const TransformerConfig& config = checkpoint.config;
    std::vector<int64_t> counts;
    for (int64_t layer = config.first_k_dense_replace; layer < config.num_hidden_layers; ++layer) {
      const size_t first = counts.size();
      counts.resize(first + static_cast<size_t>(config.n_routed_experts));
      const auto name = "model.layers." + std::to_string(layer) + ".mlp.gate";
      for (const auto& sequence : json["routing"][name]) {
        for (const auto& experts : sequence) {
          for (const size_t expert : experts) ++counts[first + expert];
        }
      }
    }
    return counts;
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
        num_counts((golden.checkpoint.config.num_hidden_layers -
                    golden.checkpoint.config.first_k_dense_replace) *
                   golden.checkpoint.config.n_routed_experts),
        counts(backend, std::max<int64_t>(1, num_counts)),
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
    backend.fill_zero(transformer.stream(), counts.get().address, counts.count() * 8);
    transformer.forward_training(weights, data.batch, data.target, 1.0f, counts.get());
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

  // Tokens per expert, of the last loss.
  std::vector<int64_t> routing() {
    return tests::download(backend, transformer.stream(), counts.get(), num_counts);
  }

  const kernels::Backend& backend;
  ParameterLayout layout;
  Threads threads{1};
  DeviceBuffer<float> masters, gradient;
  int64_t num_counts;
  DeviceBuffer<int64_t> counts;
  PolicyWeights weights;
  Transformer transformer;
};

double largest(const std::vector<float>& values) {
  double max = 0;
  for (float x : values) max = std::max(max, std::fabs(static_cast<double>(x)));
  return max;
}

// Parts of the largest logit, of the loss and of a tensor's largest gradient. In float they are
// some ten times what the reference implementation itself differs by, 5e-7 and 1.5e-6 of logits and
// gradients; in bf16 two or three times, 1.1e-2 and 3.9e-2.
struct Tolerance {
  Precision precision;
  double logits, loss, gradient;
  double floor;  // Added to a tensor's largest gradient: what rounding leaves of tiny ones.
};
constexpr Tolerance kFloat{Precision::kFp32, 5e-6, 1e-6, 2e-5, 1e-4};
constexpr Tolerance kHalf{Precision::kBf16, 2e-2, 7e-3, 1e-1, 3e-3};

void check_case(const std::string& name, const Tolerance& tolerance) {
  CAPTURE(name);
  const Golden golden(name);
  for (const kernels::Backend* backend : kernels::cpu_backends()) {
    CAPTURE(backend->name);
    Trainable policy(*backend, golden, tolerance.precision);
    const double loss = policy.loss_and_gradient(golden.sequences);
    const auto want_loss = golden.json["loss"].get<double>();
    CHECK(std::fabs(loss - want_loss) < tolerance.loss * want_loss);
    CHECK(policy.routing() == golden.routing());

    // Rows of logits are those with a target: all but each sequence's last.
    const auto V = static_cast<size_t>(golden.checkpoint.config.vocab_size);
    size_t row = 0;
    const auto logits = tests::download(*backend, policy.transformer.stream(),
                                        policy.transformer.logits(), 24 * static_cast<int64_t>(V));
    double logits_max = 0;
    for (size_t s = 0; s < golden.sequences.size(); ++s) {
      logits_max = std::max(logits_max, largest(golden.tensors.at("logits." + std::to_string(s))));
    }
    for (size_t s = 0; s < golden.sequences.size(); ++s) {
      const auto& want = golden.tensors.at("logits." + std::to_string(s));
      for (size_t t = 0; t + 1 < golden.sequences[s].size(); ++t, ++row) {
        for (size_t v = 0; v < V; ++v) {
          REQUIRE(std::fabs(logits[row * V + v] - want[t * V + v]) < tolerance.logits * logits_max);
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

// One of each: DeepSeek's under YaRN and with an epsilon that is not that of their latents' norms,
// the others with groups of heads, and between them each way to stretch the angles.
const std::string kFamilyCases[] = {"deepseek_v3", "deepseek_v2", "llama",     "mistral",
                                    "qwen2",       "qwen3",       "qwen3_moe", "mixtral"};

TEST_CASE("transformer: logits, loss and every gradient agree with the reference in float") {
  check_case("case_a", kFloat);
  check_case("case_b", kFloat);  // Query compression, expert groups, two shared experts.
}

TEST_CASE("transformer: logits, loss and every gradient agree with the reference in bf16") {
  check_case("case_a", kHalf);
  check_case("case_b", kHalf);
}

TEST_CASE("transformer: every family agrees with its reference in float") {
  for (const std::string& family : kFamilyCases) check_case("families/" + family, kFloat);
}

TEST_CASE("transformer: every family agrees with its reference in bf16") {
  for (const std::string& family : kFamilyCases) check_case("families/" + family, kHalf);
}

}  // namespace
}  // namespace troupe::model

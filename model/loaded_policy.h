// A checkpoint ready to compute with, for commands that do not learn.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/formats/checkpoint.h"
#include "model/transformer/transformer.h"

namespace troupe::model {

class LoadedPolicy {
 public:
  struct Options {
    kernels::Precision precision = kernels::Precision::kBf16;
    int threads = 1;
  };

  // As load_checkpoint fails.
  static Result<std::unique_ptr<LoadedPolicy>> load(const kernels::Backend& backend,
                                                    const std::string& folder, Options options);

  const TransformerConfig& config() const { return checkpoint_.config; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const PolicyWeights& weights() const { return *weights_; }
  Threads& threads() { return threads_; }

  // ln p of tokens 1 .. T-1 of each sequence, by the training forward in one pass per sequence.
  // kInvalidArgument, naming the sequence, for a token outside of the vocabulary or a sequence
  // longer than the model's positions.
  Result<std::vector<std::vector<float>>> score(std::span<const std::vector<int32_t>> sequences,
                                                float temperature = 1);

 private:
  LoadedPolicy(const kernels::Backend& backend, Checkpoint checkpoint, Options options);

  const kernels::Backend& backend_;
  const Options options_;
  Checkpoint checkpoint_;
  ParameterLayout layout_;
  Threads threads_;
  std::optional<PolicyWeights> weights_;
};

}  // namespace troupe::model

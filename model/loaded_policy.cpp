#include "model/loaded_policy.h"

#include <algorithm>

namespace troupe::model {

using kernels::kBlockTokens;

LoadedPolicy::LoadedPolicy(const kernels::Backend& backend, Checkpoint checkpoint, Options options)
    : backend_(backend),
      options_(options),
      checkpoint_(std::move(checkpoint)),
      layout_(checkpoint_.config),
      threads_(options.threads) {
  weights_.emplace(backend, checkpoint_.config, layout_,
                   PolicyWeights::Options{.precision = options.precision});
  DeviceBuffer<float> values(backend, layout_.num_floats());
  // Streams for packing only: their workspace holds rows of the widest matrix.
  int64_t width = 1;
  for (const auto& parameter : layout_.by_name()) {
    width = std::max({width, parameter.shape.rows, parameter.shape.cols});
  }
  std::vector<OwnedStream> owned;
  std::vector<kernels::Stream*> streams;
  for (int i = 0; i < threads_.count(); ++i) {
    owned.emplace_back(backend, options.precision,
                       kernels::WorkspacePlan{.tokens_max = 32, .width_max = width});
    streams.push_back(owned.back().get());
  }
  backend.upload(streams[0], values.get().address, checkpoint_.values.data(),
                 layout_.num_floats() * 4);
  weights_->publish(threads_, streams, values.get());
}

Result<std::unique_ptr<LoadedPolicy>> LoadedPolicy::load(const kernels::Backend& backend,
                                                         const std::string& folder,
                                                         Options options) {
  auto checkpoint = load_checkpoint(folder);
  if (!checkpoint) return checkpoint.error();
  return std::unique_ptr<LoadedPolicy>(new LoadedPolicy(backend, std::move(*checkpoint), options));
}

Result<std::vector<std::vector<float>>> LoadedPolicy::score(
    std::span<const std::vector<int32_t>> sequences, float temperature) {
  int64_t length_max = 1;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto length = static_cast<int64_t>(sequences[i].size());
    const std::string where = "sequence " + std::to_string(i + 1);
    if (length == 0) return invalid_argument(where + " has no tokens");
    if (length > config().max_position_embeddings) {
      return invalid_argument(where + " has " + std::to_string(length) +
                              " tokens, the model's limit is " +
                              std::to_string(config().max_position_embeddings));
    }
    for (int32_t token : sequences[i]) {
      if (token < 0 || token >= config().vocab_size) {
        return invalid_argument(where + ": token " + std::to_string(token) +
                                " is outside of the vocabulary of " +
                                std::to_string(config().vocab_size));
      }
    }
    length_max = std::max(length_max, length);
  }
  std::vector<std::unique_ptr<Transformer>> workers;
  const int64_t blocks = (length_max + kBlockTokens - 1) / kBlockTokens;
  std::vector<DeviceBuffer<int32_t>> arrays;
  // One sequence is worked on by the calling thread.
  const int num_workers = sequences.size() == 1 ? 1 : threads_.count();
  for (int i = 0; i < num_workers; ++i) {
    workers.push_back(
        std::make_unique<Transformer>(backend_, config(),
                                      Transformer::Options{.precision = options_.precision,
                                                           .tokens_max = length_max,
                                                           .logits_max = length_max,
                                                           .context_max = length_max,
                                                           .is_trainable = true}));
    arrays.emplace_back(backend_, 5 * length_max + blocks + 8);
  }
  std::vector<std::vector<float>> scores(sequences.size());
  threads_.run(static_cast<int64_t>(sequences.size()), [&](int64_t index, int thread) {
    const auto& tokens = sequences[static_cast<size_t>(index)];
    const auto T = static_cast<int64_t>(tokens.size());
    if (T == 1) return;
    Transformer& worker = *workers[static_cast<size_t>(thread)];
    kernels::Device<int32_t> next = arrays[static_cast<size_t>(thread)].get();
    const auto send = [&](const std::vector<int32_t>& values) {
      const auto to = next;
      backend_.upload(worker.stream(), to.address, values.data(),
                      static_cast<int64_t>(values.size()) * 4);
      next = next + static_cast<int64_t>(values.size());
      return to;
    };
    std::vector<int32_t> position(tokens.size()), table;
    for (size_t t = 0; t < tokens.size(); ++t) position[t] = static_cast<int32_t>(t);
    for (int64_t b = 0; b * kBlockTokens < T; ++b) {
      table.push_back(static_cast<int32_t>(b * kBlockTokens));
    }
    TokenBatch batch;
    batch.N = T;
    batch.token = send(tokens);
    batch.position = send(position);
    batch.slot = batch.position;
    batch.num_logits = T - 1;
    batch.logit_rows = batch.position;
    const auto target = send({tokens.begin() + 1, tokens.end()});
    batch.sequences = {.query_offset = send({0, static_cast<int32_t>(T)}),
                       .context = send({static_cast<int32_t>(T)}),
                       .block_table = send(table),
                       .S = 1,
                       .blocks_max = static_cast<int64_t>(table.size()),
                       .context_max = T};
    worker.forward_training(*weights_, batch, target, temperature);
    auto& score = scores[static_cast<size_t>(index)];
    score.resize(static_cast<size_t>(T - 1));
    backend_.download(worker.stream(), score.data(), worker.logprobs().address, (T - 1) * 4);
  });
  return scores;
}

}  // namespace troupe::model

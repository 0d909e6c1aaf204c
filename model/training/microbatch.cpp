#include "model/training/microbatch.h"

#include <algorithm>
#include <utility>

#include "model/training/packing.h"

namespace troupe::model {

using kernels::Device;
using kernels::kBlockTokens;

namespace {

void add_sequence(Microbatch& m, const LearnSequence& sequence, size_t index) {
  const auto first = static_cast<int32_t>(m.token.size());
  for (size_t t = 0; t < sequence.tokens.size(); ++t) {
    const auto row = static_cast<int32_t>(m.token.size());
    m.token.push_back(sequence.tokens[t]);
    m.position.push_back(static_cast<int32_t>(t));
    m.slot.push_back(row);
    if (t == 0 || sequence.loss_mask[t] == 0) continue;
    m.logit_row.push_back(row - 1);
    m.target.push_back(sequence.tokens[t]);
    m.target_sequence.push_back(index);
    m.target_token.push_back(t);
  }
  // Latents lie where their tokens do, so a block begins at every 32nd token of the sequence.
  const auto blocks = (sequence.length() + kBlockTokens - 1) / kBlockTokens;
  for (int64_t b = 0; b < m.blocks_max; ++b) {
    m.block_table.push_back(b < blocks ? first + static_cast<int32_t>(b * kBlockTokens) : 0);
  }
  m.context.push_back(static_cast<int32_t>(sequence.length()));
  m.query_offset.push_back(static_cast<int32_t>(m.token.size()));
}

}  // namespace

std::vector<Microbatch> make_microbatches(std::span<const LearnSequence> sequences,
                                          int64_t microbatch_tokens,
                                          const std::function<bool(int64_t)>& is_own) {
  std::vector<int64_t> lengths;
  for (const auto& sequence : sequences) lengths.push_back(sequence.length());
  std::vector<Microbatch> microbatches;
  for (auto& indices : pack(lengths, microbatch_tokens)) {
    Microbatch m;
    const bool is_whole = is_own(static_cast<int64_t>(microbatches.size()));
    for (size_t index : indices) m.context_max = std::max(m.context_max, lengths[index]);
    m.blocks_max = (m.context_max + kBlockTokens - 1) / kBlockTokens;
    for (size_t index : indices) {
      if (!is_whole) continue;
      TROUPE_CHECK(!sequences[index].tokens.empty());
      add_sequence(m, sequences[index], index);
    }
    m.sequences = std::move(indices);
    microbatches.push_back(std::move(m));
  }
  return microbatches;
}

GradientLane::GradientLane(const kernels::Backend& backend, const TransformerConfig& config,
                           int64_t num_floats, int64_t tokens_max, int64_t context_max)
    : gradient(backend, num_floats),
      dlogprob(backend, tokens_max),
      expert_counts(backend, config.num_hidden_layers * config.n_routed_experts),
      backend_(backend),
      // Seven lists of at most one entry per token, and at worst a block table of one-token
      // sequences as wide as the longest.
      ints_(backend, tokens_max * (8 + (context_max + kBlockTokens - 1) / kBlockTokens)) {}

TokenBatch GradientLane::upload(kernels::Stream* stream, const Microbatch& m) {
  used_ = 0;
  TokenBatch batch;
  batch.N = static_cast<int64_t>(m.token.size());
  batch.token = send(stream, m.token);
  batch.position = send(stream, m.position);
  batch.slot = send(stream, m.slot);
  batch.num_logits = static_cast<int64_t>(m.target.size());
  batch.logit_rows = send(stream, m.logit_row);
  target = send(stream, m.target);
  batch.sequences = {.query_offset = send(stream, m.query_offset),
                     .context = send(stream, m.context),
                     .block_table = send(stream, m.block_table),
                     .S = static_cast<int64_t>(m.context.size()),
                     .blocks_max = m.blocks_max,
                     .context_max = m.context_max};
  return batch;
}

Device<int32_t> GradientLane::send(kernels::Stream* stream, const std::vector<int32_t>& values) {
  const auto count = static_cast<int64_t>(values.size());
  TROUPE_CHECK(used_ + count <= ints_.count());
  const Device<int32_t> to = ints_.get() + used_;
  backend_.upload(stream, to.address, values.data(), count * 4);
  used_ += count;
  return to;
}

}  // namespace troupe::model

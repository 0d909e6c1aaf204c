#include "model/training/learner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/training/packing.h"

namespace troupe::model {

using kernels::Device;
using kernels::kBlockTokens;
using kernels::kChunkElements;

// Sequences end to end, with the tokens that are predicted.
struct Learner::Microbatch {
  std::vector<size_t> sequences{};
  std::vector<int32_t> token{}, position{}, slot{}, logit_row{}, target{};
  std::vector<int32_t> query_offset{0}, context{}, block_table{};
  std::vector<size_t> target_sequence{}, target_token{};  // Where each target came from.
  int64_t blocks_max = 1;
  int64_t context_max = 1;
  // Filled in by a step, per target.
  std::vector<float> logprob{}, entropy{};
  StepResult sums{};
};

// Device memory for a micro-batch's description and a lane's sums. One lane is worked on by one
// thread at a time.
class Learner::Lane {
 public:
  Lane(const kernels::Backend& backend, const TransformerConfig& config, int64_t num_floats,
       int64_t tokens_max, int64_t context_max)
      : gradient(backend, num_floats),
        dlogprob(backend, tokens_max),
        expert_counts(backend, config.num_hidden_layers * config.n_routed_experts),
        backend_(backend),
        // Seven lists of at most one entry per token, and at worst a block table of one-token
        // sequences as wide as the longest.
        ints_(backend, tokens_max * (8 + (context_max + kBlockTokens - 1) / kBlockTokens)) {}

  // The batch on the device; valid until the next upload.
  TokenBatch upload(kernels::Stream* stream, const Microbatch& m) {
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

  DeviceBuffer<float> gradient;
  DeviceBuffer<float> dlogprob;
  DeviceBuffer<int64_t> expert_counts;
  Device<int32_t> target{};

 private:
  Device<int32_t> send(kernels::Stream* stream, const std::vector<int32_t>& values) {
    const auto count = static_cast<int64_t>(values.size());
    TROUPE_CHECK(used_ + count <= ints_.count());
    const Device<int32_t> to = ints_.get() + used_;
    backend_.upload(stream, to.address, values.data(), count * 4);
    used_ += count;
    return to;
  }

  const kernels::Backend& backend_;
  DeviceBuffer<int32_t> ints_;
  int64_t used_ = 0;
};

Learner::Learner(const kernels::Backend& backend, const TransformerConfig& config,
                 const ParameterLayout& layout, Threads& threads, std::span<const float> initial,
                 Options options)
    : backend_(backend),
      config_(config),
      layout_(layout),
      threads_(threads),
      options_(options),
      masters_(backend, layout.num_floats()),
      m_(backend, layout.num_floats()),
      v_(backend, layout.num_floats()),
      weights_(backend, config, layout, {.precision = options.precision, .is_trainable = true}) {
  TROUPE_CHECK(static_cast<int64_t>(initial.size()) == layout.num_floats());
  for (int64_t lane = 0; lane < options.gradient_lanes; ++lane) {
    lanes_.push_back(std::make_unique<Lane>(backend, config, layout.num_floats(),
                                            options.microbatch_tokens, options.context_max));
  }
  for (int i = 0; i < threads.count(); ++i) {
    workers_.push_back(
        std::make_unique<Transformer>(backend, config,
                                      Transformer::Options{.precision = options.precision,
                                                           .tokens_max = options.microbatch_tokens,
                                                           .logits_max = options.microbatch_tokens,
                                                           .context_max = options.context_max,
                                                           .is_trainable = true,
                                                           .recomputes = options.recomputes}));
    streams_.push_back(workers_.back()->stream());
  }
  int64_t chunks = 0;
  for (const auto& parameter : layout.by_name()) {
    chunks += (parameter.shape.size() + kChunkElements - 1) / kChunkElements;
  }
  square_sums_ = DeviceBuffer<double>(backend, chunks);
  backend_.upload(streams_[0], masters_.get().address, initial.data(), layout.num_floats() * 4);
  weights_.publish(threads_, streams_, masters_.get());
  if (options.has_reference) {
    reference_.emplace(backend, config_, layout,
                       PolicyWeights::Options{.precision = options.precision});
    refresh_reference();
  }
}

Learner::~Learner() = default;

int64_t Learner::memory_bytes(const kernels::Backend& backend, const TransformerConfig& config,
                              const ParameterLayout& layout, int num_threads,
                              const Options& options) {
  // Activations are linear in the tokens, so two small forwards tell the slope.
  const auto activations = [&](int64_t tokens) {
    return Transformer(backend, config,
                       {.precision = options.precision,
                        .tokens_max = tokens,
                        .logits_max = tokens,
                        .context_max = 32,
                        .is_trainable = true,
                        .recomputes = options.recomputes})
        .memory_bytes();
  };
  const int64_t per_token = (activations(64) - activations(32)) / 32;
  // Masters, moments, published values, both packed forms, the reference, one gradient a lane.
  const int64_t arrays = 6 + (options.has_reference ? 2 : 0) + options.gradient_lanes;
  return num_threads * per_token * options.microbatch_tokens + arrays * layout.num_floats() * 4;
}

std::vector<float> Learner::published() const {
  std::vector<float> values(static_cast<size_t>(layout_.num_floats()));
  backend_.download(streams_[0], values.data(), weights_.values().address,
                    layout_.num_floats() * 4);
  return values;
}

LearnerState Learner::state() const {
  LearnerState state;
  const auto take = [this](std::vector<float>& to, kernels::Device<float> from) {
    to.resize(static_cast<size_t>(layout_.num_floats()));
    backend_.download(streams_[0], to.data(), from.address, layout_.num_floats() * 4);
  };
  take(state.masters, masters_.get());
  take(state.m, m_.get());
  take(state.v, v_.get());
  if (reference_) take(state.reference, reference_->values());
  state.beta1_power = beta1_power_;
  state.beta2_power = beta2_power_;
  return state;
}

void Learner::set_state(const LearnerState& state) {
  const auto put = [this](kernels::Device<float> to, const std::vector<float>& from) {
    TROUPE_CHECK(static_cast<int64_t>(from.size()) == layout_.num_floats());
    backend_.upload(streams_[0], to.address, from.data(), layout_.num_floats() * 4);
  };
  TROUPE_CHECK(state.reference.empty() == !reference_);
  if (reference_) {
    // Rounding what is rounded changes nothing, so that the masters' place can be borrowed.
    put(masters_.get(), state.reference);
    reference_->publish(threads_, streams_, masters_.get());
  }
  put(masters_.get(), state.masters);
  put(m_.get(), state.m);
  put(v_.get(), state.v);
  weights_.publish(threads_, streams_, masters_.get());
  beta1_power_ = state.beta1_power;
  beta2_power_ = state.beta2_power;
}

void Learner::reset_optimizer() {
  backend_.fill_zero(streams_[0], m_.get().address, layout_.num_floats() * 4);
  backend_.fill_zero(streams_[0], v_.get().address, layout_.num_floats() * 4);
  beta1_power_ = beta2_power_ = 1;
}

void Learner::refresh_reference() {
  if (reference_) reference_->publish(threads_, streams_, masters_.get());
}

std::vector<Learner::Microbatch> Learner::make_microbatches(
    std::span<const LearnSequence> sequences) const {
  std::vector<int64_t> lengths;
  for (const auto& sequence : sequences) {
    lengths.push_back(static_cast<int64_t>(sequence.tokens.size()));
  }
  std::vector<Microbatch> microbatches;
  for (auto& indices : pack(lengths, options_.microbatch_tokens)) {
    Microbatch m;
    for (size_t index : indices) {
      m.context_max = std::max(m.context_max, lengths[index]);
    }
    m.blocks_max = (m.context_max + kBlockTokens - 1) / kBlockTokens;
    for (size_t index : indices) {
      const LearnSequence& sequence = sequences[index];
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
      const auto blocks = (lengths[index] + kBlockTokens - 1) / kBlockTokens;
      for (int64_t b = 0; b < m.blocks_max; ++b) {
        m.block_table.push_back(b < blocks ? first + static_cast<int32_t>(b * kBlockTokens) : 0);
      }
      m.context.push_back(static_cast<int32_t>(lengths[index]));
      m.query_offset.push_back(static_cast<int32_t>(m.token.size()));
    }
    m.sequences = std::move(indices);
    microbatches.push_back(std::move(m));
  }
  return microbatches;
}

StepResult Learner::step(std::span<const LearnSequence> minibatch, const StepOptions& options) {
  auto microbatches = make_microbatches(minibatch);
  const auto num_lanes = static_cast<size_t>(options_.gradient_lanes);
  const bool has_kl = options.grpo && options.grpo->kl_coef != 0;
  TROUPE_CHECK(!has_kl || reference_);
  std::vector<SequenceResult> by_sequence(options.grpo ? minibatch.size() : 0);

  threads_.run(options_.gradient_lanes, [&](int64_t lane_index, int thread) {
    Lane& lane = *lanes_[static_cast<size_t>(lane_index)];
    Transformer& worker = *workers_[static_cast<size_t>(thread)];
    kernels::Stream* stream = worker.stream();
    backend_.fill_zero(stream, lane.gradient.get().address, layout_.num_floats() * 4);
    backend_.fill_zero(stream, lane.expert_counts.get().address, lane.expert_counts.count() * 8);
    std::vector<float> ref_logprob, dlogprob;
    for (size_t i = static_cast<size_t>(lane_index); i < microbatches.size(); i += num_lanes) {
      Microbatch& m = microbatches[i];
      const TokenBatch batch = lane.upload(stream, m);
      const int64_t n = batch.num_logits;
      if (n == 0) continue;
      const auto count = static_cast<size_t>(n);
      ref_logprob.assign(count, 0.0f);
      if (has_kl) {
        worker.forward_training(*reference_, batch, lane.target, options.temperature);
        backend_.download(stream, ref_logprob.data(), worker.logprobs().address, n * 4);
      }
      worker.forward_training(weights_, batch, lane.target, options.temperature,
                              lane.expert_counts.get());
      m.logprob.resize(count);
      m.entropy.resize(count);
      backend_.download(stream, m.logprob.data(), worker.logprobs().address, n * 4);
      backend_.download(stream, m.entropy.data(), worker.entropies().address, n * 4);
      dlogprob.assign(count, 0.0f);
      for (size_t j = 0; j < count; ++j) {
        const LearnSequence& sequence = minibatch[m.target_sequence[j]];
        const double logprob = static_cast<double>(m.logprob[j]);
        TokenLoss token{.loss = -logprob, .slope = -1};
        if (options.grpo) {
          const size_t t = m.target_token[j];
          const double rollout = static_cast<double>(sequence.rollout_logprobs[t]);
          const bool has_old = !sequence.old_logprobs.empty();
          token = grpo_token_loss(
              *options.grpo, sequence.advantage,
              {.current = logprob,
               .rollout = rollout,
               .old = has_old ? static_cast<double>(sequence.old_logprobs[t]) : logprob,
               .reference = has_kl ? static_cast<double>(ref_logprob[j]) : logprob});
          // A sequence lies in one micro-batch, so nobody else writes here.
          SequenceResult& sums = by_sequence[m.target_sequence[j]];
          sums.log_ratio_abs_sum += std::fabs(logprob - rollout);
          sums.importance_weight_sum += token.importance_weight;
          sums.importance_weight_max =
              std::max(sums.importance_weight_max, token.importance_weight);
          sums.num_truncated += token.is_truncated ? 1 : 0;
          m.sums.ppo_kl += rollout - logprob;
          m.sums.kl += token.kl;
          m.sums.clip_fraction += token.is_clipped ? 1 : 0;
          m.sums.ratio_max = std::max(m.sums.ratio_max, token.ratio);
        }
        m.sums.loss += sequence.token_weight * token.loss;
        m.sums.entropy += static_cast<double>(m.entropy[j]);
        dlogprob[j] = static_cast<float>(sequence.token_weight * token.slope);
      }
      m.sums.tokens = batch.N;
      m.sums.tokens_learned = n;
      backend_.upload(stream, lane.dlogprob.get().address, dlogprob.data(), n * 4);
      worker.backward(weights_, batch, lane.target, lane.dlogprob.get(), options.temperature,
                      lane.gradient.get());
    }
  });

  StepResult result;
  result.sequences = std::move(by_sequence);
  for (const auto& m : microbatches) {
    result.loss += m.sums.loss;
    result.tokens += m.sums.tokens;
    result.tokens_learned += m.sums.tokens_learned;
    result.entropy += m.sums.entropy;
    result.kl += m.sums.kl;
    result.ppo_kl += m.sums.ppo_kl;
    result.clip_fraction += m.sums.clip_fraction;
    result.ratio_max = std::max(result.ratio_max, m.sums.ratio_max);
  }
  if (result.tokens_learned == 0) {
    result.was_skipped = true;
    return result;
  }
  const auto learned = static_cast<double>(result.tokens_learned);
  result.entropy /= learned;
  result.kl /= learned;
  result.ppo_kl /= learned;
  result.clip_fraction /= learned;

  // Lanes as a tree: 0 += 1, 2 += 3, then 0 += 2, ...
  const int64_t total = layout_.num_floats();
  const int64_t chunks = (total + kChunkElements - 1) / kChunkElements;
  threads_.run(chunks, [&](int64_t chunk, int thread) {
    const int64_t begin = chunk * kChunkElements;
    const int64_t count = std::min(kChunkElements, total - begin);
    for (size_t distance = 1; distance < num_lanes; distance *= 2) {
      for (size_t i = 0; i + distance < num_lanes; i += 2 * distance) {
        backend_.add(streams_[static_cast<size_t>(thread)], lanes_[i]->gradient.get() + begin,
                     lanes_[i + distance]->gradient.get() + begin, count);
      }
    }
  });
  result.gradient_norm = gradient_norm();
  result.was_finite = std::isfinite(result.gradient_norm) && std::isfinite(result.loss);
  if (!result.was_finite) {
    result.was_skipped = true;
    return result;
  }

  beta1_power_ *= options.beta1;
  beta2_power_ *= options.beta2;
  const bool is_clipped = options.gradient_clip > 0 && result.gradient_norm > options.gradient_clip;
  kernels::AdamW update;
  update.learning_rate = static_cast<float>(options.learning_rate);
  update.beta1 = static_cast<float>(options.beta1);
  update.beta2 = static_cast<float>(options.beta2);
  update.epsilon = static_cast<float>(options.epsilon);
  update.gradient_scale =
      is_clipped ? static_cast<float>(options.gradient_clip / result.gradient_norm) : 1.0f;
  update.correction1 = static_cast<float>(1.0 - beta1_power_);
  update.correction2 = static_cast<float>(1.0 - beta2_power_);
  const auto& parameters = layout_.by_name();
  threads_.run(static_cast<int64_t>(parameters.size()), [&](int64_t i, int thread) {
    const auto& [shape, offset] = parameters[static_cast<size_t>(i)];
    if (shape.is_float32) return;  // The gate's bias moves by its own rule.
    kernels::AdamW tensor = update;
    tensor.weight = masters_.get() + offset;
    tensor.m = m_.get() + offset;
    tensor.v = v_.get() + offset;
    tensor.gradient = lanes_[0]->gradient.get() + offset;
    tensor.n = shape.size();
    tensor.weight_decay = shape.is_matrix() ? static_cast<float>(options.weight_decay) : 0.0f;
    backend_.adamw(streams_[static_cast<size_t>(thread)], tensor);
  });
  update_bias(options, result);
  weights_.publish(threads_, streams_, masters_.get());
  return result;
}

double Learner::gradient_norm() {
  const auto& parameters = layout_.by_name();
  std::vector<int64_t> first_chunk;
  int64_t chunks = 0;
  for (const auto& parameter : parameters) {
    first_chunk.push_back(chunks);
    chunks += (parameter.shape.size() + kChunkElements - 1) / kChunkElements;
  }
  threads_.run(static_cast<int64_t>(parameters.size()), [&](int64_t i, int thread) {
    const auto& [shape, offset] = parameters[static_cast<size_t>(i)];
    backend_.square_sums(streams_[static_cast<size_t>(thread)],
                         square_sums_.get() + first_chunk[static_cast<size_t>(i)],
                         lanes_[0]->gradient.get() + offset, shape.size());
  });
  std::vector<double> sums(static_cast<size_t>(chunks));
  backend_.download(streams_[0], sums.data(), square_sums_.get().address, chunks * 8);
  double total = 0;
  for (double sum : sums) total += sum;
  return std::sqrt(total);
}

void Learner::update_bias(const StepOptions& options, StepResult& result) {
  const int64_t E = config_.n_routed_experts;
  std::vector<int64_t> counts(static_cast<size_t>(lanes_[0]->expert_counts.count()));
  std::vector<int64_t> lane_counts(counts.size());
  for (const auto& lane : lanes_) {
    backend_.download(streams_[0], lane_counts.data(), lane->expert_counts.get().address,
                      static_cast<int64_t>(counts.size()) * 8);
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += lane_counts[i];
  }
  for (int64_t layer = config_.first_k_dense_replace; layer < config_.num_hidden_layers; ++layer) {
    const int64_t* count = counts.data() + (layer - config_.first_k_dense_replace) * E;
    int64_t total = 0, largest = 0;
    for (int64_t e = 0; e < E; ++e) {
      total += count[e];
      largest = std::max(largest, count[e]);
    }
    if (total == 0) continue;
    result.expert_load_max_violation =
        std::max(result.expert_load_max_violation,
                 static_cast<double>(largest * E) / static_cast<double>(total) - 1.0);
    if (options.balance_bias_rate == 0) continue;
    const int64_t offset = layout_.offset("model.layers." + std::to_string(layer) +
                                          ".mlp.gate.e_score_correction_bias");
    std::vector<float> bias(static_cast<size_t>(E));
    const uint64_t address = (masters_.get() + offset).address;
    backend_.download(streams_[0], bias.data(), address, E * 4);
    for (int64_t e = 0; e < E; ++e) {
      const int64_t lack = total - E * count[e];
      const double sign = lack > 0 ? 1.0 : lack < 0 ? -1.0 : 0.0;
      float& b = bias[static_cast<size_t>(e)];
      b = static_cast<float>(static_cast<double>(b) + options.balance_bias_rate * sign);
    }
    backend_.upload(streams_[0], address, bias.data(), E * 4);
  }
}

std::vector<std::vector<float>> Learner::score(std::span<const LearnSequence> sequences,
                                               float temperature) {
  std::vector<std::vector<float>> scores;
  for (const auto& sequence : sequences) scores.emplace_back(sequence.tokens.size(), 0.0f);
  auto microbatches = make_microbatches(sequences);
  threads_.run(static_cast<int64_t>(lanes_.size()), [&](int64_t lane_index, int thread) {
    Lane& lane = *lanes_[static_cast<size_t>(lane_index)];
    Transformer& worker = *workers_[static_cast<size_t>(thread)];
    for (size_t i = static_cast<size_t>(lane_index); i < microbatches.size(); i += lanes_.size()) {
      Microbatch& m = microbatches[i];
      const TokenBatch batch = lane.upload(worker.stream(), m);
      worker.forward_training(weights_, batch, lane.target, temperature);
      std::vector<float> logprob(m.target.size());
      backend_.download(worker.stream(), logprob.data(), worker.logprobs().address,
                        batch.num_logits * 4);
      for (size_t j = 0; j < logprob.size(); ++j) {
        scores[m.target_sequence[j]][m.target_token[j]] = logprob[j];
      }
    }
  });
  return scores;
}

}  // namespace troupe::model

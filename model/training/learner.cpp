#include "model/training/learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "model/training/packing.h"
#include "schemas/hash.h"

namespace troupe::model {

using kernels::kChunkElements;

namespace {

// What a rank tells the others of its micro-batches, sequences and experts: their structs one after
// another.
template <class T>
void append(std::vector<std::byte>& to, std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto bytes = std::as_bytes(values);
  to.insert(to.end(), bytes.begin(), bytes.end());
}
template <class T>
void take(std::span<const std::byte>& from, std::span<T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (values.empty()) return;
  std::memcpy(values.data(), from.data(), values.size_bytes());
  from = from.subspan(values.size_bytes());
}

Error wrong_size(size_t rank, size_t bytes, size_t wanted) {
  return {ErrorCode::kInternal,
          fmt::format("rank {} told of {} bytes where the minibatch asks for {}: it does not learn "
                      "the same",
                      rank, bytes, wanted)};
}

TeamLayout layout_of(const Learner::Options& options) {
  auto layout =
      TeamLayout::create(options.seat.ranks(), options.gradient_lanes, options.lane_width);
  TROUPE_CHECK(layout);  // The job was checked.
  return *layout;
}

}  // namespace

Learner::Learner(const kernels::Backend& backend, const TransformerConfig& config,
                 const ParameterLayout& layout, Threads& threads, std::span<const float> initial,
                 Options options)
    : backend_(backend),
      config_(config),
      layout_(layout),
      threads_(threads),
      options_(options),
      team_(layout_of(options)),
      shards_(layout, options.seat.ranks()),
      exchange_(backend, shards_, team_, options.seat),
      masters_(backend, shard().count()),
      m_(backend, shard().count()),
      v_(backend, shard().count()),
      weights_(backend, config, layout, {.precision = options.precision, .is_trainable = true}) {
  TROUPE_CHECK(static_cast<int64_t>(initial.size()) == layout.num_floats());
  for (int64_t lane = 0; lane < team_.lanes_per_rank(); ++lane) {
    lanes_.push_back(std::make_unique<GradientLane>(
        backend, config, layout.num_floats(), options.microbatch_tokens, options.context_max));
    if (team_.width() == 1) continue;
    WaveSums& wave = waves_.emplace_back();
    wave.other = DeviceBuffer<float>(
        backend, team_.members() == 1 ? layout.num_floats() : exchange_.own_range().count());
    if (team_.slots_per_rank() > 1) {
      wave.own_slots = SumInEights(backend, layout.num_floats(), team_.slots_per_rank());
    }
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
  square_sums_ = DeviceBuffer<double>(
      backend, static_cast<int64_t>(shards_.chunks_of(options.seat.rank()).size()));
  backend_.upload(streams_[0], masters_.get().address, initial.data() + shard().begin,
                  shard().count() * 4);
  const kernels::Device<float> values = lanes_[0]->gradient.get();
  backend_.upload(streams_[0], values.address, initial.data(), layout.num_floats() * 4);
  weights_.publish(threads_, streams_, values);
  if (options.has_reference) {
    reference_.emplace(backend, config_, layout,
                       PolicyWeights::Options{.precision = options.precision});
    refresh_reference();
  }
}

Learner::~Learner() = default;

int64_t Learner::memory_bytes(const kernels::Backend& backend, const TransformerConfig& config,
                              const ParameterLayout& layout, int num_threads,
                              const TeamLayout& team, const Options& options) {
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
  // Published values, both packed forms, the reference; of masters and moments a shard.
  const int64_t arrays = 3 + (options.has_reference ? 2 : 0);
  int64_t lane = layout.num_floats();
  if (team.width() > 1) {
    lane += layout.num_floats() / team.members();
    if (team.slots_per_rank() > 1) {
      lane += SumInEights::num_arrays(team.slots_per_rank()) * layout.num_floats();
    }
  }
  return num_threads * per_token * options.microbatch_tokens + arrays * layout.num_floats() * 4 +
         team.lanes_per_rank() * lane * 4 + 3 * layout.num_floats() * 4 / team.ranks();
}

std::vector<float> Learner::published() const {
  std::vector<float> values(static_cast<size_t>(layout_.num_floats()));
  backend_.download(streams_[0], values.data(), weights_.values().address,
                    layout_.num_floats() * 4);
  return values;
}

LearnerState Learner::state() const {
  LearnerState state;
  const auto take = [this](std::vector<float>& to, kernels::Device<float> from, int64_t count) {
    to.resize(static_cast<size_t>(count));
    backend_.download(streams_[0], to.data(), from.address, count * 4);
  };
  take(state.masters, masters_.get(), shard().count());
  take(state.m, m_.get(), shard().count());
  take(state.v, v_.get(), shard().count());
  if (reference_) take(state.reference, reference_->values(), layout_.num_floats());
  state.beta1_power = beta1_power_;
  state.beta2_power = beta2_power_;
  return state;
}

Status Learner::set_state(const LearnerState& state) {
  const auto put = [this](kernels::Device<float> to, const std::vector<float>& from,
                          int64_t count) {
    TROUPE_CHECK(static_cast<int64_t>(from.size()) == count);
    backend_.upload(streams_[0], to.address, from.data(), count * 4);
  };
  TROUPE_CHECK(state.reference.empty() == !reference_);
  if (reference_) {
    // Rounding what is rounded changes nothing.
    const kernels::Device<float> values = lanes_[0]->gradient.get();
    put(values, state.reference, layout_.num_floats());
    reference_->publish(threads_, streams_, values);
  }
  put(masters_.get(), state.masters, shard().count());
  put(m_.get(), state.m, shard().count());
  put(v_.get(), state.v, shard().count());
  beta1_power_ = state.beta1_power;
  beta2_power_ = state.beta2_power;
  return publish();
}

// The gradient's place is free by now, and takes the masters of all ranks.
Status Learner::publish() {
  if (team_.ranks() == 1) {
    weights_.publish(threads_, streams_, masters_.get());
    return ok();
  }
  const kernels::Device<float> values = lanes_[0]->gradient.get();
  backend_.copy(streams_[0], (values + shard().begin).address, masters_.get().address,
                shard().count() * 4);
  if (Status gathered = exchange_.gather(streams_[0], values); !gathered) return gathered;
  weights_.publish(threads_, streams_, values);
  return ok();
}

void Learner::reset_optimizer() {
  backend_.fill_zero(streams_[0], m_.get().address, shard().count() * 4);
  backend_.fill_zero(streams_[0], v_.get().address, shard().count() * 4);
  beta1_power_ = beta2_power_ = 1;
}

void Learner::refresh_reference() {
  // What is published is the masters rounded, and rounding it again changes nothing.
  if (reference_) reference_->publish(threads_, streams_, weights_.values());
}

std::vector<Microbatch> Learner::own_microbatches(std::span<const LearnSequence> sequences) const {
  return make_microbatches(sequences, options_.microbatch_tokens,
                           [this](int64_t i) { return team_.rank_of(i) == options_.seat.rank(); });
}

std::vector<bool> Learner::own_sequences(std::span<const int64_t> lengths) const {
  std::vector<bool> is_own(lengths.size(), false);
  const auto microbatches = pack(lengths, options_.microbatch_tokens);
  for (size_t i = 0; i < microbatches.size(); ++i) {
    if (team_.rank_of(static_cast<int64_t>(i)) != options_.seat.rank()) continue;
    for (const size_t index : microbatches[i]) is_own[index] = true;
  }
  return is_own;
}

Result<StepResult> Learner::step(std::span<const LearnSequence> minibatch,
                                 const StepOptions& options) {
  auto microbatches = own_microbatches(minibatch);
  TROUPE_CHECK(!options.grpo || options.grpo->kl_coef == 0 || reference_);
  StepResult result;
  result.sequences.resize(options.grpo ? minibatch.size() : 0);

  std::vector<Status> learned_lanes(lanes_.size(), ok());
  threads_.run(team_.lanes_per_rank(), [&](int64_t lane_index, int thread) {
    learned_lanes[static_cast<size_t>(lane_index)] =
        learn_lane(lane_index, thread, microbatches, minibatch, options, result.sequences);
  });
  for (const Status& lane : learned_lanes) {
    if (!lane) return lane.error();
  }
  if (Status told = add_parts_of_all(microbatches, result); !told) return told.error();
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

  add_own_lanes();
  Status summed = exchange_.sum_lanes(streams_[0], sum_of(0), lanes_[0]->gradient.get());
  if (!summed) return summed.error();
  const auto squares = gradient_squares();
  if (!squares) return squares.error();
  // Chunks are added up in the order of names, whoever owns them.
  double total = 0;
  for (const size_t chunk : shards_.by_name()) total += (*squares)[chunk];
  result.gradient_norm = std::sqrt(total);
  result.digest = sha256_hex(std::as_bytes(std::span(*squares)));
  result.was_finite = std::isfinite(result.gradient_norm) && std::isfinite(result.loss);
  if (!result.was_finite) {
    result.was_skipped = true;
    return result;
  }
  update_shard(options, result.gradient_norm);
  update_bias(options, result);
  if (Status published = publish(); !published) return published.error();
  return result;
}

kernels::Device<float> Learner::sum_of(size_t lane_index) const {
  return team_.members() > 1 ? waves_[lane_index].other.get() : lanes_[lane_index]->gradient.get();
}

kernels::Device<float> Learner::scratch_of(size_t lane_index) const {
  return team_.members() > 1 ? lanes_[lane_index]->gradient.get() : waves_[lane_index].other.get();
}

// The sum over this lane's micro-batches, of what this rank has of it, is in sum_of() afterwards.
Status Learner::learn_lane(int64_t lane_index, int thread, std::vector<Microbatch>& microbatches,
                           std::span<const LearnSequence> minibatch, const StepOptions& options,
                           std::vector<SequenceResult>& by_sequence) {
  const auto index = static_cast<size_t>(lane_index);
  GradientLane& lane = *lanes_[index];
  Transformer& worker = *workers_[static_cast<size_t>(thread)];
  const auto count = static_cast<int64_t>(microbatches.size());
  const int64_t number = first_lane() + lane_index;
  if (team_.width() > 1 || team_.microbatch(number, 0, 0) >= count) {
    backend_.fill_zero(worker.stream(), sum_of(index).address, exchange_.own_range().count() * 4);
  }
  backend_.fill_zero(worker.stream(), lane.expert_counts.get().address,
                     lane.expert_counts.count() * 8);
  for (int64_t wave = 0; team_.microbatch(number, wave, 0) < count; ++wave) {
    if (team_.width() == 1) {
      // Added where the sum is, which begins with the first one.
      learn(microbatches[static_cast<size_t>(team_.microbatch(number, wave, 0))], lane, worker,
            minibatch, options, by_sequence, sum_of(index), /*overwrites=*/wave == 0);
      continue;
    }
    Status learned =
        learn_wave(wave, lane_index, thread, microbatches, minibatch, options, by_sequence);
    if (!learned) return learned;
  }
  return ok();
}

Status Learner::learn_wave(int64_t wave, int64_t lane_index, int thread,
                           std::vector<Microbatch>& microbatches,
                           std::span<const LearnSequence> minibatch, const StepOptions& options,
                           std::vector<SequenceResult>& by_sequence) {
  const auto index = static_cast<size_t>(lane_index);
  Transformer& worker = *workers_[static_cast<size_t>(thread)];
  const auto count = static_cast<int64_t>(microbatches.size());
  const int64_t lane = first_lane() + lane_index, floats = layout_.num_floats();
  const int64_t num_slots = team_.slots_per_rank();
  const kernels::Device<float> scratch = scratch_of(index);
  std::optional<kernels::Device<float>> mine;
  for (int64_t slot = 0; slot < num_slots; ++slot) {
    const int64_t i = team_.microbatch(lane, wave, team_.first_slot(options_.seat.rank()) + slot);
    if (i >= count) break;
    learn(microbatches[static_cast<size_t>(i)], *lanes_[index], worker, minibatch, options,
          by_sequence, scratch, /*overwrites=*/true);
    if (num_slots > 1) {
      waves_[index].own_slots.add(worker.stream(), slot, scratch, floats);
    } else {
      mine = scratch;
    }
  }
  if (num_slots > 1) mine = waves_[index].own_slots.finish(worker.stream(), floats);
  if (team_.members() == 1) {
    backend_.add(worker.stream(), sum_of(index), *mine, floats);
    return ok();
  }
  std::vector<bool> is_there;
  for (int member = 0; member < team_.members(); ++member) {
    is_there.push_back(team_.microbatch(lane, wave, member * num_slots) < count);
  }
  return exchange_.sum_wave(worker.stream(), mine.value_or(scratch), is_there, sum_of(index));
}

void Learner::learn(Microbatch& m, GradientLane& lane, Transformer& worker,
                    std::span<const LearnSequence> minibatch, const StepOptions& options,
                    std::vector<SequenceResult>& by_sequence, kernels::Device<float> gradient,
                    bool overwrites) const {
  kernels::Stream* stream = worker.stream();
  const bool has_kl = options.grpo && options.grpo->kl_coef != 0;
  const TokenBatch batch = lane.upload(stream, m);
  const int64_t n = batch.num_logits;
  if (n == 0) {
    if (overwrites) backend_.fill_zero(stream, gradient.address, layout_.num_floats() * 4);
    return;
  }
  const auto count = static_cast<size_t>(n);
  std::vector<float> ref_logprob(count, 0.0f);
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
  std::vector<float> dlogprob(count, 0.0f);
  for (size_t j = 0; j < count; ++j) {
    const LearnSequence& sequence = minibatch[m.target_sequence[j]];
    const double logprob = static_cast<double>(m.logprob[j]);
    TokenLoss token{.loss = -logprob, .slope = -1};
    if (options.grpo) {
      const size_t t = m.target_token[j];
      const double rollout = static_cast<double>(sequence.rollout_logprobs[t]);
      const bool has_old = !sequence.old_logprobs.empty();
      token =
          grpo_token_loss(*options.grpo, sequence.advantage,
                          {.current = logprob,
                           .rollout = rollout,
                           .old = has_old ? static_cast<double>(sequence.old_logprobs[t]) : logprob,
                           .reference = has_kl ? static_cast<double>(ref_logprob[j]) : logprob});
      // A sequence lies in one micro-batch, so nobody else writes here.
      SequenceResult& sums = by_sequence[m.target_sequence[j]];
      sums.log_ratio_abs_sum += std::fabs(logprob - rollout);
      sums.importance_weight_sum += token.importance_weight;
      sums.importance_weight_max = std::max(sums.importance_weight_max, token.importance_weight);
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
  worker.backward(weights_, batch, lane.target, lane.dlogprob.get(), options.temperature, gradient,
                  overwrites);
}

// Fills in the sums of micro-batches and sequences that others have learned, and adds up how many
// tokens went to each expert.
Status Learner::add_parts_of_all(std::vector<Microbatch>& microbatches, StepResult& result) {
  const auto num_counts = static_cast<size_t>(lanes_[0]->expert_counts.count());
  expert_counts_.assign(num_counts, 0);
  std::vector<int64_t> counts(num_counts);
  for (const auto& lane : lanes_) {
    backend_.download(streams_[0], counts.data(), lane->expert_counts.get().address,
                      static_cast<int64_t>(num_counts) * 8);
    for (size_t i = 0; i < num_counts; ++i) expert_counts_[i] += counts[i];
  }
  if (team_.ranks() == 1) return ok();

  const auto num_ranks = static_cast<size_t>(team_.ranks());
  std::vector<size_t> bytes(num_ranks, num_counts * sizeof(int64_t));
  const bool has_sequences = !result.sequences.empty();
  std::vector<std::byte> mine;
  for (size_t i = 0; i < microbatches.size(); ++i) {
    const Microbatch& m = microbatches[i];
    const auto rank = static_cast<size_t>(team_.rank_of(static_cast<int64_t>(i)));
    bytes[rank] +=
        sizeof m.sums + (has_sequences ? m.sequences.size() : 0) * sizeof(SequenceResult);
    if (rank != static_cast<size_t>(options_.seat.rank())) continue;
    append(mine, std::span<const MicrobatchSums>(&m.sums, 1));
    for (size_t j = 0; has_sequences && j < m.sequences.size(); ++j) {
      append(mine, std::span<const SequenceResult>(&result.sequences[m.sequences[j]], 1));
    }
  }
  append(mine, std::span<const int64_t>(expert_counts_));
  const auto told =
      exchange_.tell_all(mine, static_cast<int64_t>(*std::max_element(bytes.begin(), bytes.end())));
  if (!told) return told.error();
  std::vector<std::span<const std::byte>> parts;
  for (size_t rank = 0; rank < num_ranks; ++rank) {
    parts.emplace_back((*told)[rank]);
    if (parts[rank].size() != bytes[rank]) {
      return wrong_size(rank, parts[rank].size(), bytes[rank]);
    }
  }
  for (size_t i = 0; i < microbatches.size(); ++i) {
    Microbatch& m = microbatches[i];
    auto& part = parts[static_cast<size_t>(team_.rank_of(static_cast<int64_t>(i)))];
    take(part, std::span(&m.sums, 1));
    for (size_t j = 0; has_sequences && j < m.sequences.size(); ++j) {
      take(part, std::span(&result.sequences[m.sequences[j]], 1));
    }
  }
  expert_counts_.assign(num_counts, 0);
  for (auto& part : parts) {
    take(part, std::span(counts));
    for (size_t i = 0; i < num_counts; ++i) expert_counts_[i] += counts[i];
  }
  return ok();
}

void Learner::add_own_lanes() {
  const int64_t total = layout_.num_floats();
  const int64_t chunks = (total + kChunkElements - 1) / kChunkElements;
  threads_.run(chunks, [&](int64_t chunk, int thread) {
    const int64_t begin = chunk * kChunkElements;
    const int64_t count = std::min(kChunkElements, total - begin);
    add_as_tree(team_.lanes_per_rank(), [&](int64_t sum, int64_t more) {
      backend_.add(streams_[static_cast<size_t>(thread)],
                   lanes_[static_cast<size_t>(sum)]->gradient.get() + begin,
                   lanes_[static_cast<size_t>(more)]->gradient.get() + begin, count);
    });
  });
}

Result<std::vector<double>> Learner::gradient_squares() {
  const auto own = shards_.chunks_of(options_.seat.rank());
  threads_.run(static_cast<int64_t>(own.size()), [&](int64_t i, int thread) {
    const Chunk& chunk = own[static_cast<size_t>(i)];
    backend_.square_sums(streams_[static_cast<size_t>(thread)], square_sums_.get() + i,
                         lanes_[0]->gradient.get() + chunk.offset, chunk.count);
  });
  std::vector<double> own_sums(own.size());
  backend_.download(streams_[0], own_sums.data(), square_sums_.get().address,
                    static_cast<int64_t>(own.size()) * 8);
  const auto told = exchange_.tell_all(std::as_bytes(std::span(own_sums)),
                                       static_cast<int64_t>(shards_.chunks_max() * sizeof(double)));
  if (!told) return told.error();
  std::vector<double> sums(shards_.chunks().size());
  for (int rank = 0; rank < team_.ranks(); ++rank) {
    std::span<const std::byte> part((*told)[static_cast<size_t>(rank)]);
    const auto to =
        std::span(sums).subspan(shards_.first_chunk(rank), shards_.chunks_of(rank).size());
    if (part.size() != to.size_bytes()) {
      return wrong_size(static_cast<size_t>(rank), part.size(), to.size_bytes());
    }
    take(part, to);
  }
  return sums;
}

void Learner::update_shard(const StepOptions& options, double gradient_norm) {
  beta1_power_ *= options.beta1;
  beta2_power_ *= options.beta2;
  const bool is_clipped = options.gradient_clip > 0 && gradient_norm > options.gradient_clip;
  kernels::AdamW update;
  update.learning_rate = static_cast<float>(options.learning_rate);
  update.beta1 = static_cast<float>(options.beta1);
  update.beta2 = static_cast<float>(options.beta2);
  update.epsilon = static_cast<float>(options.epsilon);
  update.gradient_scale =
      is_clipped ? static_cast<float>(options.gradient_clip / gradient_norm) : 1.0f;
  update.correction1 = static_cast<float>(1.0 - beta1_power_);
  update.correction2 = static_cast<float>(1.0 - beta2_power_);
  const auto own = shards_.chunks_of(options_.seat.rank());
  threads_.run(static_cast<int64_t>(own.size()), [&](int64_t i, int thread) {
    const Chunk& chunk = own[static_cast<size_t>(i)];
    const TensorShape& shape = layout_.by_name()[chunk.parameter].shape;
    if (shape.is_float32) return;  // The gate's bias moves by its own rule.
    const int64_t at = chunk.offset - shard().begin;
    kernels::AdamW part = update;
    part.weight = masters_.get() + at;
    part.m = m_.get() + at;
    part.v = v_.get() + at;
    part.gradient = lanes_[0]->gradient.get() + chunk.offset;
    part.n = chunk.count;
    part.weight_decay = shape.is_matrix() ? static_cast<float>(options.weight_decay) : 0.0f;
    backend_.adamw(streams_[static_cast<size_t>(thread)], part);
  });
}

void Learner::update_bias(const StepOptions& options, StepResult& result) {
  const int64_t E = config_.n_routed_experts;
  for (int64_t layer = config_.first_k_dense_replace; layer < config_.num_hidden_layers; ++layer) {
    const int64_t* count = expert_counts_.data() + (layer - config_.first_k_dense_replace) * E;
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
    // A chunk of its own, so it lies in one shard.
    if (offset < shard().begin || offset >= shard().end) continue;
    std::vector<float> bias(static_cast<size_t>(E));
    const uint64_t address = (masters_.get() + (offset - shard().begin)).address;
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
  auto microbatches =
      make_microbatches(sequences, options_.microbatch_tokens, [](int64_t) { return true; });
  const auto num_lanes = static_cast<size_t>(team_.lanes_per_rank());
  threads_.run(team_.lanes_per_rank(), [&](int64_t lane_index, int thread) {
    GradientLane& lane = *lanes_[static_cast<size_t>(lane_index)];
    Transformer& worker = *workers_[static_cast<size_t>(thread)];
    for (auto i = static_cast<size_t>(lane_index); i < microbatches.size(); i += num_lanes) {
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

#include "model/transformer/transformer.h"

#include <algorithm>
#include <vector>

#include "model/transformer/rope.h"

namespace troupe::model {

using kernels::Device;
using kernels::kPanelN;
using kernels::Packed;
using kernels::padded;
using kernels::Precision;
using kernels::Stored;

// Hands out pieces of one block of device memory; run once without the block to learn its size.
class Transformer::Arena {
 public:
  Arena(uint64_t base, Precision precision)
      : base_(base), element_bytes_(precision == Precision::kBf16 ? 2 : 4) {}

  template <class T>
  Device<T> take(int64_t count) {
    const Device<T> piece{base_ + static_cast<uint64_t>(used_)};
    used_ += padded(count * static_cast<int64_t>(sizeof(T)), 64);
    return piece;
  }
  Stored take_stored(int64_t count) {
    const Stored piece{base_ + static_cast<uint64_t>(used_), element_bytes_};
    used_ += padded(count * element_bytes_, 64);
    return piece;
  }
  int64_t used() const { return used_; }

 private:
  uint64_t base_;
  uint8_t element_bytes_;
  int64_t used_ = 0;
};

namespace {

kernels::WorkspacePlan workspace_plan(const TransformerConfig& c, int64_t tokens_max,
                                      int64_t context_max) {
  const kernels::CacheRow row = cache_row(c);
  const int64_t widths[] = {
      c.hidden_size,       c.vocab_size,
      c.intermediate_size, c.moe_intermediate_size * std::max<int64_t>(1, c.n_shared_experts),
      c.q_lora_rank,       row.width,
      c.n_routed_experts,  c.query_width(),
      c.attended_width()};
  return {.tokens_max = tokens_max * std::max<int64_t>(1, c.num_experts_per_tok),
          .width_max = *std::max_element(std::begin(widths), std::end(widths)),
          .heads = c.num_attention_heads / row.groups,
          .key_width = row.key_width,
          .value_width = row.value_width,
          .context_max = context_max,
          .experts = c.n_routed_experts};
}

// The widest SwiGLU that every token passes.
int64_t inner_width(const TransformerConfig& c) {
  return std::max(c.first_k_dense_replace > 0 ? c.intermediate_size : 0,
                  c.n_shared_experts * c.moe_intermediate_size);
}

}  // namespace

kernels::CacheRow cache_row(const TransformerConfig& config) {
  if (config.is_latent()) {
    const int64_t W = padded(config.kv_lora_rank + config.qk_rope_head_dim);
    return {.width = W, .key_width = W, .value_width = config.kv_lora_rank};
  }
  const int64_t d = padded(config.head_dim);
  return {.width = config.num_key_value_heads * 2 * d,
          .groups = config.num_key_value_heads,
          .group_stride = 2 * d,
          .key_width = d,
          .value_offset = d,
          .value_width = config.head_dim};
}

Transformer::Transformer(const kernels::Backend& backend, const TransformerConfig& config,
                         Options options)
    : backend_(backend),
      c_(config),
      options_(options),
      row_(cache_row(config)),
      stream_(backend, options.precision,
              workspace_plan(config, options.tokens_max, options.context_max)) {
  Arena size(0, options.precision);
  lay_out(size);
  memory_ = DeviceBuffer<char>(backend, size.used());
  Arena arena(memory_.get().address, options.precision);
  lay_out(arena);
  const std::vector<float> table = rope_table(config, options.context_max);
  backend_.upload(stream(), rope_.address, table.data(), static_cast<int64_t>(table.size()) * 4);
}

Transformer::Activations Transformer::lay_out_layer(Arena& arena) const {
  const int64_t N = options_.tokens_max, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t E = c_.n_routed_experts, K = c_.num_experts_per_tok, F = inner_width(c_);
  Activations a;
  a.x0 = arena.take<float>(N * D);
  a.x1 = options_.is_trainable ? arena.take<float>(N * D) : a.x0;
  a.rstd0 = arena.take<float>(N);
  a.rstd1 = arena.take<float>(N);
  a.h0 = arena.take_stored(N * D);
  a.h1 = arena.take_stored(N * D);
  if (c_.is_latent()) {
    a.rstd_q = arena.take<float>(N);
    a.rstd_kv = arena.take<float>(N);
    a.qa = arena.take<float>(N * c_.q_lora_rank);
    a.qn = arena.take_stored(N * c_.q_lora_rank);
    a.kv = arena.take<float>(N * (c_.kv_lora_rank + c_.qk_rope_head_dim));
    a.nope = arena.take_stored(N * H * c_.qk_nope_head_dim);
    a.latent = arena.take_stored(N * H * c_.kv_lora_rank);
  } else {
    a.rstd_q = arena.take<float>(N * H);
    a.rstd_kv = arena.take<float>(N * c_.num_key_value_heads);
    a.q = arena.take<float>(N * c_.query_width());
    a.k = arena.take<float>(N * c_.num_key_value_heads * c_.head_dim);
  }
  a.row = arena.take_stored(N * H * row_.key_width);
  if (options_.is_trainable) {
    a.max = arena.take<float>(N * H);
    a.sum = arena.take<float>(N * H);
  }
  a.value = arena.take_stored(N * c_.attended_width());
  a.gate_up = arena.take<float>(N * 2 * padded(F, kPanelN));
  a.inner = arena.take_stored(N * F);
  a.score = arena.take<float>(N * E);
  a.expert = arena.take<int32_t>(N * K);
  a.weight = arena.take<float>(N * K);
  a.offsets = arena.take<int32_t>(E + 1);
  a.row_token = arena.take<int32_t>(N * K);
  a.slot_row = arena.take<int32_t>(N * K);
  a.expert_gate_up = arena.take<float>(N * K * 2 * padded(c_.moe_intermediate_size, kPanelN));
  a.expert_inner = arena.take_stored(N * K * c_.moe_intermediate_size);
  return a;
}

void Transformer::lay_out(Arena& arena) {
  const int64_t N = options_.tokens_max, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t V = c_.vocab_size, M = options_.logits_max, F = inner_width(c_);
  const int64_t E = c_.n_routed_experts, K = c_.num_experts_per_tok;
  const int64_t Fe = c_.moe_intermediate_size, G = c_.num_key_value_heads;
  layers_.clear();
  for (int64_t i = 0; i < c_.num_hidden_layers; ++i) {
    const bool has_own = options_.is_trainable && !options_.recomputes;
    layers_.push_back(i == 0 || has_own ? lay_out_layer(arena) : layers_[0]);
    if (i > 0 && options_.recomputes) layers_.back().x0 = arena.take<float>(N * D);
  }
  rope_ = arena.take<float>(options_.context_max * c_.rotated_dim());
  final_x_ = options_.is_trainable ? arena.take<float>(N * D) : layers_[0].x0;
  final_rstd_ = arena.take<float>(M);
  final_h_ = arena.take_stored(M * D);
  logits_ = arena.take<float>(M * V);
  if (c_.is_latent()) {
    q_ = arena.take<float>(N * c_.query_width());
  } else {
    value_ = arena.take<float>(N * G * c_.head_dim);
  }
  router_logits_ = arena.take<float>(N * E);
  if (!options_.is_trainable) return;

  own_cache_ = {arena.take_stored(c_.num_hidden_layers * N * row_.width), N * row_.width};
  logprobs_ = arena.take<float>(M);
  lse_ = arena.take<float>(M);
  entropies_ = arena.take<float>(M);
  dx_ = arena.take<float>(N * D);
  dh_ = arena.take<float>(std::max(N, M) * D);
  da_ = arena.take<float>(std::max(N * F, N * K * Fe));
  dquery_ = arena.take<float>(N * H * row_.key_width);
  dcache_ = arena.take<float>(N * row_.width);
  dweight_ = arena.take<float>(N * K);
  dxs_ = arena.take_stored(N * D);
  dgate_ = arena.take_stored(std::max(N * F, N * K * Fe));
  dup_ = arena.take_stored(std::max(N * F, N * K * Fe));
  weighted_ = arena.take_stored(N * K * Fe);
  drouter_ = arena.take_stored(N * E);
  dvalue_ = arena.take_stored(N * c_.attended_width());
  dq_ = arena.take_stored(N * c_.query_width());
  dlogits_ = arena.take_stored(M * V);
  if (!c_.is_latent()) return;

  const int64_t R = c_.kv_lora_rank;
  dnope_ = arena.take<float>(N * H * c_.qk_nope_head_dim);
  dqn_ = arena.take<float>(N * c_.q_lora_rank);
  dqa_ = arena.take<float>(N * c_.q_lora_rank);
  dattended_ = arena.take_stored(N * H * R);
  dabsorbed_ = arena.take_stored(N * H * R);
  dqas_ = arena.take_stored(N * c_.q_lora_rank);
  dkv_ = arena.take_stored(N * (R + c_.qk_rope_head_dim));
}

void Transformer::multiply(Device<float> y, Stored x, const Packed& w, int64_t M, int64_t ldy,
                           int64_t ldx, bool accumulates) {
  backend_.gemm(
      stream(),
      {.y = y, .x = x, .w = w, .M = M, .ldy = ldy, .ldx = ldx, .accumulates = accumulates});
}

void Transformer::learn(Device<float> gradient, const Matrix& matrix, int64_t rows, int64_t cols,
                        Stored dy, int64_t lddy, Stored x, int64_t ldx, int64_t T) {
  backend_.weight_gradient(stream(), {.dw = gradient + matrix.offset,
                                      .dy = dy,
                                      .x = x,
                                      .T = T,
                                      .rows = rows,
                                      .cols = cols,
                                      .ldw = matrix.ld,
                                      .lddy = lddy,
                                      .ldx = ldx,
                                      .overwrites = overwrites_});
}

void Transformer::begin_gradient(const PolicyWeights& weights, Device<float> gradient) {
  for (const auto& [shape, offset] : weights.layout().by_name()) {
    const bool is_multiplied = shape.is_matrix() && (offset != weights.embedding().offset ||
                                                     offset == weights.head().offset);
    const int64_t written = is_multiplied ? shape.size() : 0;
    backend_.fill_zero(stream(), (gradient + (offset + written)).address,
                       (padded(shape.size(), 16) - written) * 4);
  }
}

void Transformer::attend(Stored out, Activations& a, const TokenBatch& batch, Stored cache) {
  backend_.attention(stream(), {.out = out,
                                .max = a.max,
                                .sum = a.sum,
                                .query = a.row,
                                .cache = cache,
                                .row = row_,
                                .sequences = batch.sequences,
                                .H = c_.num_attention_heads,
                                .scale = attention_scale(c_)});
}

void Transformer::attend_backward(Stored dout, Activations& a, const TokenBatch& batch,
                                  Stored cache) {
  backend_.attention_backward(stream(), {.dquery = dquery_,
                                         .dcache = dcache_,
                                         .dout = dout,
                                         .query = a.row,
                                         .cache = cache,
                                         .max = a.max,
                                         .sum = a.sum,
                                         .row = row_,
                                         .sequences = batch.sequences,
                                         .N = batch.N,
                                         .H = c_.num_attention_heads,
                                         .scale = attention_scale(c_)});
}

void Transformer::attention_forward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                    Stored cache) {
  const int64_t N = batch.N, D = c_.hidden_size;
  backend_.rmsnorm(stream(), {.y = a.h0,
                              .rstd = a.rstd0,
                              .x = a.x0,
                              .weight = w.input_norm.value,
                              .N = N,
                              .D = D,
                              .ldx = D,
                              .ldy = D,
                              .epsilon = static_cast<float>(c_.rms_norm_eps)});
  if (c_.is_latent()) {
    latent_forward(w, a, batch, cache);
  } else {
    grouped_forward(w, a, batch, cache);
  }
  multiply(a.x1, a.value, w.o.w, N, D, c_.attended_width(), /*accumulates=*/true);
}

void Transformer::head_forward(const PolicyWeights& weights, const TokenBatch& batch) {
  const int64_t D = c_.hidden_size;
  backend_.rmsnorm(stream(), {.y = final_h_,
                              .rstd = final_rstd_,
                              .x = final_x_,
                              .weight = weights.final_norm().value,
                              .x_rows = batch.logit_rows,
                              .N = batch.num_logits,
                              .D = D,
                              .ldx = D,
                              .ldy = D,
                              .epsilon = static_cast<float>(c_.rms_norm_eps)});
  multiply(logits_, final_h_, weights.head().w, batch.num_logits, c_.vocab_size, D);
}

void Transformer::run_layer(const PolicyWeights& weights, const TokenBatch& batch,
                            const LayerCache& cache, int64_t i) {
  // While learning a layer's input and middle are kept; else one array is updated in place.
  const int64_t bytes = batch.N * c_.hidden_size * 4;
  const auto keep = [&](Device<float> to, Device<float> from) {
    if (to.address != from.address) backend_.copy(stream(), to.address, from.address, bytes);
  };
  const auto index = static_cast<size_t>(i);
  Activations& a = layers_[index];
  keep(a.x1, a.x0);
  attention_forward(weights.layers()[index], a, batch, cache.rows + i * cache.layer_stride);
  const bool is_last = i + 1 == c_.num_hidden_layers;
  const Device<float> next = is_last ? final_x_ : layers_[index + 1].x0;
  keep(next, a.x1);
  mlp_forward(weights.layers()[index], a, i, batch.N, next);
}

void Transformer::run_layers(const PolicyWeights& weights, const TokenBatch& batch,
                             const LayerCache& cache) {
  TROUPE_CHECK(batch.N <= options_.tokens_max);
  TROUPE_CHECK(batch.num_logits <= options_.logits_max);
  TROUPE_CHECK(batch.sequences.context_max <= options_.context_max);
  backend_.embedding(stream(), {.x = layers_[0].x0,
                                .table = weights.embedding().value,
                                .token = batch.token,
                                .N = batch.N,
                                .D = c_.hidden_size});
  for (int64_t i = 0; i < c_.num_hidden_layers; ++i) run_layer(weights, batch, cache, i);
  head_forward(weights, batch);
}

void Transformer::forward(const PolicyWeights& weights, const TokenBatch& batch,
                          const LayerCache& cache) {
  TROUPE_CHECK(!options_.is_trainable);
  run_layers(weights, batch, cache);
}

void Transformer::forward_training(const PolicyWeights& weights, const TokenBatch& batch,
                                   Device<int32_t> target, float temperature,
                                   Device<int64_t> expert_counts) {
  TROUPE_CHECK(options_.is_trainable);
  expert_counts_ = expert_counts;
  run_layers(weights, batch, own_cache_);
  backend_.token_logprob(stream(), {.logprob = logprobs_,
                                    .lse = lse_,
                                    .entropy = entropies_,
                                    .logit = logits_,
                                    .token = target,
                                    .N = batch.num_logits,
                                    .V = c_.vocab_size,
                                    .temperature = temperature});
}

// dx_ is the gradient of the layer's middle; on return that of its input.
void Transformer::attention_backward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                     Stored cache, Device<float> gradient) {
  const int64_t N = batch.N, D = c_.hidden_size, V = c_.attended_width();
  backend_.store(stream(), dxs_, dx_, N, D, D, D);
  backend_.gemm(stream(),
                {.y_stored = dvalue_, .x = dxs_, .w = w.o.wt, .M = N, .ldy = V, .ldx = D});
  learn(gradient, w.o, D, V, dxs_, D, a.value, V, N);
  if (c_.is_latent()) {
    latent_backward(w, a, batch, cache, gradient);
  } else {
    grouped_backward(w, a, batch, cache, gradient);
  }
  backend_.rmsnorm_backward(stream(), {.dx = dx_,
                                       .dweight = gradient + w.input_norm.offset,
                                       .dy = dh_,
                                       .x = a.x0,
                                       .rstd = a.rstd0,
                                       .weight = w.input_norm.value,
                                       .N = N,
                                       .D = D,
                                       .ldx = D,
                                       .lddy = D});
}

void Transformer::backward(const PolicyWeights& weights, const TokenBatch& batch,
                           Device<int32_t> target, Device<float> dlogprob, float temperature,
                           Device<float> gradient, bool overwrites) {
  TROUPE_CHECK(options_.is_trainable);
  overwrites_ = overwrites;
  if (overwrites) begin_gradient(weights, gradient);
  const int64_t D = c_.hidden_size, V = c_.vocab_size, M = batch.num_logits;
  backend_.token_logprob_backward(stream(), {.dlogit = dlogits_,
                                             .dlogprob = dlogprob,
                                             .lse = lse_,
                                             .logit = logits_,
                                             .token = target,
                                             .N = M,
                                             .V = V,
                                             .temperature = temperature});
  multiply(dh_, dlogits_, weights.head().wt, M, D, V);
  learn(gradient, weights.head(), V, D, dlogits_, V, final_h_, D, M);
  backend_.fill_zero(stream(), dx_.address, batch.N * D * 4);
  backend_.rmsnorm_backward(stream(), {.dx = dx_,
                                       .dweight = gradient + weights.final_norm().offset,
                                       .dy = dh_,
                                       .x = final_x_,
                                       .rstd = final_rstd_,
                                       .weight = weights.final_norm().value,
                                       .x_rows = batch.logit_rows,
                                       .N = M,
                                       .D = D,
                                       .ldx = D,
                                       .lddy = D});
  expert_counts_ = {};  // What is computed again is not counted again.
  for (int64_t i = c_.num_hidden_layers - 1; i >= 0; --i) {
    const bool is_last = i + 1 == c_.num_hidden_layers;
    if (options_.recomputes && !is_last) run_layer(weights, batch, own_cache_, i);
    const auto index = static_cast<size_t>(i);
    mlp_backward(weights.layers()[index], layers_[index], i, batch.N, gradient);
    attention_backward(weights.layers()[index], layers_[index], batch,
                       own_cache_.rows + i * own_cache_.layer_stride, gradient);
  }
  backend_.embedding_backward(stream(), {.dtable = gradient + weights.embedding().offset,
                                         .dx = dx_,
                                         .token = batch.token,
                                         .N = batch.N,
                                         .D = D});
}

}  // namespace troupe::model

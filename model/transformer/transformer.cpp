#include "model/transformer/transformer.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementary.h"

namespace troupe::model {

using kernels::Device;
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
                                      int64_t context_max, int64_t W) {
  const int64_t widths[] = {c.hidden_size,
                            c.vocab_size,
                            c.intermediate_size,
                            c.moe_intermediate_size * std::max<int64_t>(1, c.n_shared_experts),
                            c.q_lora_rank,
                            W,
                            c.n_routed_experts,
                            c.num_attention_heads * c.qk_head_dim(),
                            c.num_attention_heads * c.v_head_dim};
  return {.tokens_max = tokens_max * std::max<int64_t>(1, c.num_experts_per_tok),
          .width_max = *std::max_element(std::begin(widths), std::end(widths)),
          .heads = c.num_attention_heads,
          .latent_width = W,
          .context_max = context_max,
          .experts = c.n_routed_experts};
}

}  // namespace

Transformer::Transformer(const kernels::Backend& backend, const TransformerConfig& config,
                         Options options)
    : backend_(backend),
      c_(config),
      options_(options),
      stream_(backend, options.precision,
              workspace_plan(config, options.tokens_max, options.context_max,
                             padded(config.kv_lora_rank + config.qk_rope_head_dim))),
      W_(padded(config.kv_lora_rank + config.qk_rope_head_dim)) {
  Arena size(0, options.precision);
  lay_out(size);
  memory_ = DeviceBuffer<char>(backend, size.used());
  Arena arena(memory_.get().address, options.precision);
  lay_out(arena);

  // Angle of pair i at a position: position / theta^(2i / P). Computed in double by our own sine
  // and cosine, so that every machine has the same table.
  const int64_t P = c_.qk_rope_head_dim;
  std::vector<float> table(static_cast<size_t>(options.context_max * P));
  for (int64_t i = 0; i < P; i += 2) {
    const double frequency = kernels::exp_exact(-kernels::log_exact(c_.rope_theta) *
                                                static_cast<double>(i) / static_cast<double>(P));
    for (int64_t position = 0; position < options.context_max; ++position) {
      const double angle = static_cast<double>(position) * frequency;
      table[static_cast<size_t>(position * P + i)] = static_cast<float>(kernels::cos_exact(angle));
      table[static_cast<size_t>(position * P + i + 1)] =
          static_cast<float>(kernels::sin_exact(angle));
    }
  }
  backend_.upload(stream(), rope_.address, table.data(), static_cast<int64_t>(table.size()) * 4);
}

Transformer::Activations Transformer::lay_out_layer(Arena& arena) const {
  const int64_t N = options_.tokens_max, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t R = c_.kv_lora_rank, E = c_.n_routed_experts, K = c_.num_experts_per_tok;
  const int64_t F = std::max(c_.first_k_dense_replace > 0 ? c_.intermediate_size : 0,
                             c_.n_shared_experts * c_.moe_intermediate_size);
  Activations a;
  a.x0 = arena.take<float>(N * D);
  a.x1 = options_.is_trainable ? arena.take<float>(N * D) : a.x0;
  a.rstd0 = arena.take<float>(N);
  a.rstd1 = arena.take<float>(N);
  a.rstd_q = arena.take<float>(N);
  a.rstd_kv = arena.take<float>(N);
  a.h0 = arena.take_stored(N * D);
  a.h1 = arena.take_stored(N * D);
  a.qa = arena.take<float>(N * c_.q_lora_rank);
  a.qn = arena.take_stored(N * c_.q_lora_rank);
  a.kv = arena.take<float>(N * (R + c_.qk_rope_head_dim));
  a.nope = arena.take_stored(N * H * c_.qk_nope_head_dim);
  a.row = arena.take_stored(N * H * W_);
  if (options_.is_trainable) {
    a.max = arena.take<float>(N * H);
    a.sum = arena.take<float>(N * H);
  }
  a.latent = arena.take_stored(N * H * R);
  a.value = arena.take_stored(N * H * c_.v_head_dim);
  a.gate = arena.take<float>(N * F);
  a.up = arena.take<float>(N * F);
  a.inner = arena.take_stored(N * F);
  a.score = arena.take<float>(N * E);
  a.expert = arena.take<int32_t>(N * K);
  a.weight = arena.take<float>(N * K);
  a.offsets = arena.take<int32_t>(E + 1);
  a.row_token = arena.take<int32_t>(N * K);
  a.slot_row = arena.take<int32_t>(N * K);
  a.expert_gate = arena.take<float>(N * K * c_.moe_intermediate_size);
  a.expert_up = arena.take<float>(N * K * c_.moe_intermediate_size);
  a.expert_inner = arena.take_stored(N * K * c_.moe_intermediate_size);
  return a;
}

void Transformer::lay_out(Arena& arena) {
  const int64_t N = options_.tokens_max, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t R = c_.kv_lora_rank, P = c_.qk_rope_head_dim, V = c_.vocab_size;
  const int64_t E = c_.n_routed_experts, K = c_.num_experts_per_tok, M = options_.logits_max;
  const int64_t Fe = c_.moe_intermediate_size;
  const int64_t F =
      std::max(c_.first_k_dense_replace > 0 ? c_.intermediate_size : 0, c_.n_shared_experts * Fe);
  layers_.clear();
  for (int64_t i = 0; i < c_.num_hidden_layers; ++i) {
    layers_.push_back(i == 0 || options_.is_trainable ? lay_out_layer(arena) : layers_[0]);
  }
  rope_ = arena.take<float>(options_.context_max * P);
  final_x_ = options_.is_trainable ? arena.take<float>(N * D) : layers_[0].x0;
  final_rstd_ = arena.take<float>(M);
  final_h_ = arena.take_stored(M * D);
  logits_ = arena.take<float>(M * V);
  q_ = arena.take<float>(N * H * c_.qk_head_dim());
  router_logits_ = arena.take<float>(N * E);
  rows_ = arena.take<float>(N * K * D);
  if (!options_.is_trainable) return;

  own_cache_ = {arena.take_stored(c_.num_hidden_layers * N * W_), N * W_};
  logprobs_ = arena.take<float>(M);
  lse_ = arena.take<float>(M);
  entropies_ = arena.take<float>(M);
  dx_ = arena.take<float>(N * D);
  dh_ = arena.take<float>(std::max(N, M) * D);
  da_ = arena.take<float>(std::max(N * F, N * K * Fe));
  dquery_ = arena.take<float>(N * H * W_);
  dlatent_ = arena.take<float>(N * W_);
  dnope_ = arena.take<float>(N * H * c_.qk_nope_head_dim);
  dqn_ = arena.take<float>(N * c_.q_lora_rank);
  dqa_ = arena.take<float>(N * c_.q_lora_rank);
  dweight_ = arena.take<float>(N * K);
  dxs_ = arena.take_stored(N * D);
  dgate_ = arena.take_stored(std::max(N * F, N * K * Fe));
  dup_ = arena.take_stored(std::max(N * F, N * K * Fe));
  weighted_ = arena.take_stored(N * K * Fe);
  drouter_ = arena.take_stored(N * E);
  dvalue_ = arena.take_stored(N * H * c_.v_head_dim);
  dattended_ = arena.take_stored(N * H * R);
  dabsorbed_ = arena.take_stored(N * H * R);
  dq_ = arena.take_stored(N * H * c_.qk_head_dim());
  dqas_ = arena.take_stored(N * c_.q_lora_rank);
  dkv_ = arena.take_stored(N * (R + P));
  dlogits_ = arena.take_stored(M * V);
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
                                      .ldx = ldx});
}

void Transformer::attention_forward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                    Stored cache, Device<float> x) {
  const int64_t N = batch.N, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t R = c_.kv_lora_rank, P = c_.qk_rope_head_dim;
  const int64_t nope = c_.qk_nope_head_dim, v = c_.v_head_dim, Q = c_.q_lora_rank;
  const auto epsilon = static_cast<float>(c_.rms_norm_eps);
  backend_.rmsnorm(stream(), {.y = a.h0,
                              .rstd = a.rstd0,
                              .x = x,
                              .weight = w.input_norm.value,
                              .N = N,
                              .D = D,
                              .ldx = D,
                              .ldy = D,
                              .epsilon = epsilon});
  if (Q > 0) {
    multiply(a.qa, a.h0, w.q_a.w, N, Q, D);
    backend_.rmsnorm(stream(), {.y = a.qn,
                                .rstd = a.rstd_q,
                                .x = a.qa,
                                .weight = w.q_a_norm.value,
                                .N = N,
                                .D = Q,
                                .ldx = Q,
                                .ldy = Q,
                                .epsilon = epsilon});
    multiply(q_, a.qn, w.q.w, N, H * (nope + P), Q);
  } else {
    multiply(q_, a.h0, w.q.w, N, H * (nope + P), D);
  }
  backend_.mla_query(stream(), {.nope = a.nope,
                                .row = a.row,
                                .q = q_,
                                .position = batch.position,
                                .table = rope_,
                                .N = N,
                                .H = H,
                                .nope_dim = nope,
                                .R = R,
                                .P = P});
  for (int64_t h = 0; h < H; ++h) {
    backend_.gemm(stream(), {.y_stored = a.row + h * W_,
                             .x = a.nope + h * nope,
                             .w = w.absorb.at(h).w,
                             .M = N,
                             .ldy = H * W_,
                             .ldx = H * nope});
  }
  multiply(a.kv, a.h0, w.kv_a.w, N, R + P, D);
  backend_.mla_latent(stream(), {.cache = cache,
                                 .rstd = a.rstd_kv,
                                 .kv = a.kv,
                                 .weight = w.kv_norm.value,
                                 .position = batch.position,
                                 .slot = batch.slot,
                                 .table = rope_,
                                 .N = N,
                                 .R = R,
                                 .P = P,
                                 .epsilon = epsilon});
  backend_.attention(stream(),
                     {.out = a.latent,
                      .max = a.max,
                      .sum = a.sum,
                      .query = a.row,
                      .cache = cache,
                      .sequences = batch.sequences,
                      .H = H,
                      .R = R,
                      .W = W_,
                      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(nope + P)))});
  for (int64_t h = 0; h < H; ++h) {
    backend_.gemm(stream(), {.y_stored = a.value + h * v,
                             .x = a.latent + h * R,
                             .w = w.value.at(h).w,
                             .M = N,
                             .ldy = H * v,
                             .ldx = H * R});
  }
  multiply(x, a.value, w.o.w, N, D, H * v, /*accumulates=*/true);
}

void Transformer::mlp_forward(const LayerWeights& w, Activations& a, int64_t layer, int64_t N,
                              Device<float> x) {
  const int64_t D = c_.hidden_size;
  backend_.rmsnorm(stream(), {.y = a.h1,
                              .rstd = a.rstd1,
                              .x = x,
                              .weight = w.post_norm.value,
                              .N = N,
                              .D = D,
                              .ldx = D,
                              .ldy = D,
                              .epsilon = static_cast<float>(c_.rms_norm_eps)});
  const auto plain = [&](const MlpWeights& mlp, int64_t F) {
    multiply(a.gate, a.h1, mlp.gate.w, N, F, D);
    multiply(a.up, a.h1, mlp.up.w, N, F, D);
    backend_.swiglu(stream(), {.y = a.inner, .gate = a.gate, .up = a.up, .N = N, .F = F});
    multiply(x, a.inner, mlp.down.w, N, D, F, /*accumulates=*/true);
  };
  if (c_.is_dense(layer)) {
    plain(w.dense, c_.intermediate_size);
    return;
  }
  const int64_t E = c_.n_routed_experts, K = c_.num_experts_per_tok, F = c_.moe_intermediate_size;
  multiply(router_logits_, a.h1, w.router.w, N, E, D);
  backend_.gate(stream(), {.expert = a.expert,
                           .weight = a.weight,
                           .score = a.score,
                           .logit = router_logits_,
                           .bias = w.router_bias.value,
                           .N = N,
                           .E = E,
                           .K = K,
                           .num_groups = c_.n_group,
                           .groups_kept = c_.topk_group,
                           .normalises = c_.norm_topk_prob,
                           .scaling = static_cast<float>(c_.routed_scaling_factor)});
  backend_.route(stream(),
                 {.offsets = a.offsets,
                  .row_token = a.row_token,
                  .slot_row = a.slot_row,
                  .counts = expert_counts_ ? expert_counts_ + (layer - c_.first_k_dense_replace) * E
                                           : Device<int64_t>{},
                  .expert = a.expert,
                  .N = N,
                  .E = E,
                  .K = K});
  const auto grouped = [&](Device<float> y, Stored in, int64_t ldy, int64_t ldx,
                           const MatrixList& list, Device<int32_t> rows) {
    backend_.grouped_gemm(stream(), {.gemm = {.y = y,
                                              .x = in,
                                              .w = list.first.w,
                                              .M = N * K,
                                              .ldy = ldy,
                                              .ldx = ldx,
                                              .x_rows = rows},
                                     .w_stride_bytes = list.w_stride_bytes,
                                     .num_groups = E,
                                     .offsets = a.offsets});
  };
  grouped(a.expert_gate, a.h1, F, D, w.expert_gate, a.row_token);
  grouped(a.expert_up, a.h1, F, D, w.expert_up, a.row_token);
  backend_.swiglu(
      stream(),
      {.y = a.expert_inner, .gate = a.expert_gate, .up = a.expert_up, .N = N * K, .F = F});
  grouped(rows_, a.expert_inner, D, F, w.expert_down, {});
  if (c_.n_shared_experts > 0) plain(w.shared, c_.n_shared_experts * F);
  backend_.combine(stream(), {.out = x,
                              .rows = rows_,
                              .weight = a.weight,
                              .slot_row = a.slot_row,
                              .N = N,
                              .K = K,
                              .D = D});
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

void Transformer::run_layers(const PolicyWeights& weights, const TokenBatch& batch,
                             const LatentCache& cache) {
  TROUPE_CHECK(batch.N <= options_.tokens_max);
  TROUPE_CHECK(batch.num_logits <= options_.logits_max);
  TROUPE_CHECK(batch.sequences.context_max <= options_.context_max);
  const int64_t bytes = batch.N * c_.hidden_size * 4;
  backend_.embedding(stream(), {.x = layers_[0].x0,
                                .table = weights.embedding().value,
                                .token = batch.token,
                                .N = batch.N,
                                .D = c_.hidden_size});
  // While learning each layer's input and middle are kept; else one array is updated in place.
  const auto keep = [&](Device<float> to, Device<float> from) {
    if (to.address != from.address) backend_.copy(stream(), to.address, from.address, bytes);
  };
  for (int64_t i = 0; i < c_.num_hidden_layers; ++i) {
    const auto index = static_cast<size_t>(i);
    Activations& a = layers_[index];
    keep(a.x1, a.x0);
    attention_forward(weights.layers()[index], a, batch, cache.rows + i * cache.layer_stride, a.x1);
    const bool is_last = i + 1 == c_.num_hidden_layers;
    const Device<float> next = is_last ? final_x_ : layers_[index + 1].x0;
    keep(next, a.x1);
    mlp_forward(weights.layers()[index], a, i, batch.N, next);
  }
  head_forward(weights, batch);
}

void Transformer::forward(const PolicyWeights& weights, const TokenBatch& batch,
                          const LatentCache& cache) {
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

void Transformer::swiglu_backward(const MlpWeights& w, Activations& a, int64_t F, int64_t N,
                                  Device<float> gradient) {
  const int64_t D = c_.hidden_size;
  multiply(da_, dxs_, w.down.wt, N, F, D);
  learn(gradient, w.down, D, F, dxs_, D, a.inner, F, N);
  backend_.swiglu_backward(
      stream(),
      {.dgate = dgate_, .dup = dup_, .da = da_, .gate = a.gate, .up = a.up, .N = N, .F = F});
  multiply(dh_, dgate_, w.gate.wt, N, D, F, /*accumulates=*/true);
  multiply(dh_, dup_, w.up.wt, N, D, F, /*accumulates=*/true);
  learn(gradient, w.gate, F, D, dgate_, F, a.h1, D, N);
  learn(gradient, w.up, F, D, dup_, F, a.h1, D, N);
}

// dx_ is the gradient of the layer's output; on return that of its middle.
void Transformer::mlp_backward(const LayerWeights& w, Activations& a, int64_t layer, int64_t N,
                               Device<float> gradient) {
  const int64_t D = c_.hidden_size;
  backend_.store(stream(), dxs_, dx_, N, D, D, D);
  backend_.fill_zero(stream(), dh_.address, N * D * 4);
  if (c_.is_dense(layer)) {
    swiglu_backward(w.dense, a, c_.intermediate_size, N, gradient);
  } else {
    const int64_t E = c_.n_routed_experts, K = c_.num_experts_per_tok, F = c_.moe_intermediate_size;
    const int64_t rows = N * K;
    if (c_.n_shared_experts > 0) swiglu_backward(w.shared, a, c_.n_shared_experts * F, N, gradient);
    const auto grouped = [&](Device<float> y, Stored in, int64_t ldy, int64_t ldx,
                             const MatrixList& list, Device<int32_t> in_rows, bool accumulates) {
      backend_.grouped_gemm(stream(), {.gemm = {.y = y,
                                                .x = in,
                                                .w = list.first.wt,
                                                .M = rows,
                                                .ldy = ldy,
                                                .ldx = ldx,
                                                .x_rows = in_rows,
                                                .accumulates = accumulates},
                                       .w_stride_bytes = list.wt_stride_bytes,
                                       .num_groups = E,
                                       .offsets = a.offsets});
    };
    const auto grouped_learn = [&](const MatrixList& list, int64_t out, int64_t in, Stored dy,
                                   Device<int32_t> dy_rows, Stored x, Device<int32_t> x_rows) {
      backend_.grouped_weight_gradient(stream(), {.gradient = {.dw = gradient + list.first.offset,
                                                               .dy = dy,
                                                               .x = x,
                                                               .T = rows,
                                                               .rows = out,
                                                               .cols = in,
                                                               .ldw = list.first.ld,
                                                               .lddy = out,
                                                               .ldx = in,
                                                               .dy_rows = dy_rows,
                                                               .x_rows = x_rows},
                                                  .num_groups = E,
                                                  .dw_stride = list.stride,
                                                  .offsets = a.offsets});
    };
    grouped(da_, dxs_, F, D, w.expert_down, a.row_token, false);
    backend_.swiglu_backward(stream(), {.dgate = dgate_,
                                        .dup = dup_,
                                        .weighted = weighted_,
                                        .dweight = dweight_,
                                        .da = da_,
                                        .gate = a.expert_gate,
                                        .up = a.expert_up,
                                        .weight = a.weight,
                                        .slot_row = a.slot_row,
                                        .N = rows,
                                        .F = F,
                                        .num_slots = rows});
    grouped_learn(w.expert_down, D, F, dxs_, a.row_token, weighted_, {});
    grouped_learn(w.expert_gate, F, D, dgate_, {}, a.h1, a.row_token);
    grouped_learn(w.expert_up, F, D, dup_, {}, a.h1, a.row_token);
    grouped(rows_, dgate_, D, F, w.expert_gate, {}, false);
    grouped(rows_, dup_, D, F, w.expert_up, {}, true);
    backend_.combine(stream(),
                     {.out = dh_, .rows = rows_, .slot_row = a.slot_row, .N = N, .K = K, .D = D});
    backend_.gate_backward(stream(), {.dlogit = drouter_,
                                      .dweight = dweight_,
                                      .expert = a.expert,
                                      .score = a.score,
                                      .N = N,
                                      .E = E,
                                      .K = K,
                                      .normalises = c_.norm_topk_prob,
                                      .scaling = static_cast<float>(c_.routed_scaling_factor)});
    multiply(dh_, drouter_, w.router.wt, N, D, E, /*accumulates=*/true);
    learn(gradient, w.router, E, D, drouter_, E, a.h1, D, N);
  }
  backend_.rmsnorm_backward(stream(), {.dx = dx_,
                                       .dweight = gradient + w.post_norm.offset,
                                       .dy = dh_,
                                       .x = a.x1,
                                       .rstd = a.rstd1,
                                       .weight = w.post_norm.value,
                                       .N = N,
                                       .D = D,
                                       .ldx = D,
                                       .lddy = D});
}

// dx_ is the gradient of the layer's middle; on return that of its input.
void Transformer::attention_backward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                     Stored cache, Device<float> gradient) {
  const int64_t N = batch.N, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t R = c_.kv_lora_rank, P = c_.qk_rope_head_dim;
  const int64_t nope = c_.qk_nope_head_dim, v = c_.v_head_dim, Q = c_.q_lora_rank;
  backend_.store(stream(), dxs_, dx_, N, D, D, D);
  backend_.gemm(stream(),
                {.y_stored = dvalue_, .x = dxs_, .w = w.o.wt, .M = N, .ldy = H * v, .ldx = D});
  learn(gradient, w.o, D, H * v, dxs_, D, a.value, H * v, N);
  for (int64_t h = 0; h < H; ++h) {
    const Matrix value = w.value.at(h);
    backend_.gemm(stream(), {.y_stored = dattended_ + h * R,
                             .x = dvalue_ + h * v,
                             .w = value.wt,
                             .M = N,
                             .ldy = H * R,
                             .ldx = H * v});
    learn(gradient, value, v, R, dvalue_ + h * v, H * v, a.latent + h * R, H * R, N);
  }
  backend_.attention_backward(
      stream(), {.dquery = dquery_,
                 .dlatent = dlatent_,
                 .dout = dattended_,
                 .query = a.row,
                 .cache = cache,
                 .max = a.max,
                 .sum = a.sum,
                 .sequences = batch.sequences,
                 .N = N,
                 .H = H,
                 .R = R,
                 .W = W_,
                 .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(nope + P)))});
  backend_.store(stream(), dabsorbed_, dquery_, N * H, R, R, W_);
  for (int64_t h = 0; h < H; ++h) {
    const Matrix absorb = w.absorb.at(h);
    backend_.gemm(stream(), {.y = dnope_ + h * nope,
                             .x = dabsorbed_ + h * R,
                             .w = absorb.wt,
                             .M = N,
                             .ldy = H * nope,
                             .ldx = H * R});
    learn(gradient, absorb, nope, R, a.nope + h * nope, H * nope, dabsorbed_ + h * R, H * R, N);
  }
  backend_.mla_query_backward(stream(), {.dq = dq_,
                                         .dnope = dnope_,
                                         .drow = dquery_,
                                         .position = batch.position,
                                         .table = rope_,
                                         .N = N,
                                         .H = H,
                                         .nope_dim = nope,
                                         .R = R,
                                         .P = P});
  if (Q > 0) {
    multiply(dqn_, dq_, w.q.wt, N, Q, H * (nope + P));
    learn(gradient, w.q, H * (nope + P), Q, dq_, H * (nope + P), a.qn, Q, N);
    backend_.rmsnorm_backward(stream(), {.dx = dqa_,
                                         .dweight = gradient + w.q_a_norm.offset,
                                         .dy = dqn_,
                                         .x = a.qa,
                                         .rstd = a.rstd_q,
                                         .weight = w.q_a_norm.value,
                                         .N = N,
                                         .D = Q,
                                         .ldx = Q,
                                         .lddy = Q,
                                         .overwrites = true});
    backend_.store(stream(), dqas_, dqa_, N, Q, Q, Q);
    multiply(dh_, dqas_, w.q_a.wt, N, D, Q);
    learn(gradient, w.q_a, Q, D, dqas_, Q, a.h0, D, N);
  } else {
    multiply(dh_, dq_, w.q.wt, N, D, H * (nope + P));
    learn(gradient, w.q, H * (nope + P), D, dq_, H * (nope + P), a.h0, D, N);
  }
  backend_.mla_latent_backward(stream(), {.dkv = dkv_,
                                          .dweight = gradient + w.kv_norm.offset,
                                          .dlatent = dlatent_,
                                          .kv = a.kv,
                                          .rstd = a.rstd_kv,
                                          .weight = w.kv_norm.value,
                                          .position = batch.position,
                                          .table = rope_,
                                          .N = N,
                                          .R = R,
                                          .P = P});
  multiply(dh_, dkv_, w.kv_a.wt, N, D, R + P, /*accumulates=*/true);
  learn(gradient, w.kv_a, R + P, D, dkv_, R + P, a.h0, D, N);
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
                           Device<float> gradient) {
  TROUPE_CHECK(options_.is_trainable);
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
  for (int64_t i = c_.num_hidden_layers - 1; i >= 0; --i) {
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

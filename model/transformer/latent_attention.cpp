// Multi-head latent attention of one layer.
#include "model/transformer/transformer.h"

namespace troupe::model {

using kernels::Device;
using kernels::Stored;

namespace {
// Of the norms of compressed queries, keys and values, whatever rms_norm_eps says: DeepSeek's own
// program and transformers build them with their norm's default.
constexpr float kLatentEpsilon = 1e-6f;
}  // namespace

void Transformer::latent_forward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                 Stored cache) {
  const int64_t N = batch.N, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t R = c_.kv_lora_rank, P = c_.qk_rope_head_dim;
  const int64_t nope = c_.qk_nope_head_dim, v = c_.v_head_dim, Q = c_.q_lora_rank;
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
                                .epsilon = kLatentEpsilon});
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
  backend_.gemm(stream(), {.y_stored = a.row,
                           .x = a.nope,
                           .w = w.absorb.first.w,
                           .M = N,
                           .ldy = H * row_.width,
                           .ldx = H * nope,
                           .num_parts = H,
                           .x_part = nope,
                           .y_part = row_.width,
                           .w_part_bytes = w.absorb.w_stride_bytes});
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
                                 .epsilon = kLatentEpsilon});
  attend(a.latent, a, batch, cache);
  backend_.gemm(stream(), {.y_stored = a.value,
                           .x = a.latent,
                           .w = w.value.first.w,
                           .M = N,
                           .ldy = H * v,
                           .ldx = H * R,
                           .num_parts = H,
                           .x_part = R,
                           .y_part = v,
                           .w_part_bytes = w.value.w_stride_bytes});
}

// Adds to dh_ what the projections to queries and latents give; the first of them overwrites it.
void Transformer::latent_backward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                  Stored cache, Device<float> gradient) {
  const int64_t N = batch.N, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t R = c_.kv_lora_rank, P = c_.qk_rope_head_dim;
  const int64_t nope = c_.qk_nope_head_dim, v = c_.v_head_dim, Q = c_.q_lora_rank;
  backend_.gemm(stream(), {.y_stored = dattended_,
                           .x = dvalue_,
                           .w = w.value.first.wt,
                           .M = N,
                           .ldy = H * R,
                           .ldx = H * v,
                           .num_parts = H,
                           .x_part = v,
                           .y_part = R,
                           .w_part_bytes = w.value.wt_stride_bytes});
  for (int64_t h = 0; h < H; ++h) {
    learn(gradient, w.value.at(h), v, R, dvalue_ + h * v, H * v, a.latent + h * R, H * R, N);
  }
  attend_backward(dattended_, a, batch, cache);
  backend_.store(stream(), dabsorbed_, dquery_, N * H, R, R, row_.width);
  backend_.gemm(stream(), {.y = dnope_,
                           .x = dabsorbed_,
                           .w = w.absorb.first.wt,
                           .M = N,
                           .ldy = H * nope,
                           .ldx = H * R,
                           .num_parts = H,
                           .x_part = R,
                           .y_part = nope,
                           .w_part_bytes = w.absorb.wt_stride_bytes});
  for (int64_t h = 0; h < H; ++h) {
    learn(gradient, w.absorb.at(h), nope, R, a.nope + h * nope, H * nope, dabsorbed_ + h * R, H * R,
          N);
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
                                          .dlatent = dcache_,
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
}

}  // namespace troupe::model

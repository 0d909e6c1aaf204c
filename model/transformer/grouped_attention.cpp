// Attention of one layer whose heads share keys and values in groups.
#include "model/transformer/transformer.h"

namespace troupe::model {

using kernels::Device;
using kernels::Stored;

void Transformer::grouped_forward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                  Stored cache) {
  const int64_t N = batch.N, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t G = c_.num_key_value_heads, d = c_.head_dim;
  const auto project = [&](Device<float> y, const Matrix& matrix, const Vector& bias, int64_t n) {
    multiply(y, a.h0, matrix.w, N, n, D);
    if (bias.value) backend_.add_bias(stream(), {.y = y, .bias = bias.value, .N = N, .n = n});
  };
  project(a.q, w.q, w.q_bias, H * d);
  project(a.k, w.k, w.k_bias, G * d);
  project(value_, w.v, w.v_bias, G * d);
  const auto epsilon = static_cast<float>(c_.rms_norm_eps);
  backend_.head_rows(stream(), {.y = a.row,
                                .rstd = a.rstd_q,
                                .x = a.q,
                                .weight = w.q_norm.value,
                                .position = batch.position,
                                .table = rope_,
                                .N = N,
                                .H = H,
                                .d = d,
                                .ldy = H * row_.key_width,
                                .stride = row_.key_width,
                                .epsilon = epsilon});
  backend_.head_rows(stream(), {.y = cache,
                                .rstd = a.rstd_kv,
                                .x = a.k,
                                .weight = w.k_norm.value,
                                .position = batch.position,
                                .slot = batch.slot,
                                .table = rope_,
                                .N = N,
                                .H = G,
                                .d = d,
                                .ldy = row_.width,
                                .stride = row_.group_stride,
                                .epsilon = epsilon});
  backend_.head_rows(stream(), {.y = cache + row_.value_offset,
                                .x = value_,
                                .slot = batch.slot,
                                .N = N,
                                .H = G,
                                .d = d,
                                .ldy = row_.width,
                                .stride = row_.group_stride});
  attend(a.value, a, batch, cache);
}

// Overwrites dh_ with what the projections to queries, keys and values give.
void Transformer::grouped_backward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                                   Stored cache, Device<float> gradient) {
  const int64_t N = batch.N, D = c_.hidden_size, H = c_.num_attention_heads;
  const int64_t G = c_.num_key_value_heads, d = c_.head_dim;
  attend_backward(dvalue_, a, batch, cache);
  const auto project_back = [&](const Matrix& matrix, const Vector& bias, int64_t n,
                                bool accumulates) {
    multiply(dh_, dq_, matrix.wt, N, D, n, accumulates);
    learn(gradient, matrix, n, D, dq_, n, a.h0, D, N);
    if (bias.value) {
      backend_.bias_gradient(stream(),
                             {.dbias = gradient + bias.offset, .dy = dq_, .N = N, .n = n});
    }
  };
  const auto dweight = [&](const Vector& norm) {
    return norm.value ? gradient + norm.offset : Device<float>{};
  };
  backend_.head_rows_backward(stream(), {.dx = dq_,
                                         .dweight = dweight(w.q_norm),
                                         .dy = dquery_,
                                         .x = a.q,
                                         .rstd = a.rstd_q,
                                         .weight = w.q_norm.value,
                                         .position = batch.position,
                                         .table = rope_,
                                         .N = N,
                                         .H = H,
                                         .d = d,
                                         .lddy = H * row_.key_width,
                                         .stride = row_.key_width});
  project_back(w.q, w.q_bias, H * d, false);
  backend_.head_rows_backward(stream(), {.dx = dq_,
                                         .dweight = dweight(w.k_norm),
                                         .dy = dcache_,
                                         .x = a.k,
                                         .rstd = a.rstd_kv,
                                         .weight = w.k_norm.value,
                                         .position = batch.position,
                                         .table = rope_,
                                         .N = N,
                                         .H = G,
                                         .d = d,
                                         .lddy = row_.width,
                                         .stride = row_.group_stride});
  project_back(w.k, w.k_bias, G * d, true);
  backend_.head_rows_backward(stream(), {.dx = dq_,
                                         .dy = dcache_ + row_.value_offset,
                                         .N = N,
                                         .H = G,
                                         .d = d,
                                         .lddy = row_.width,
                                         .stride = row_.group_stride});
  project_back(w.v, w.v_bias, G * d, true);
}

}  // namespace troupe::model

// The second half of a layer: a dense SwiGLU, or routed experts and the shared one.
#include "model/transformer/transformer.h"

namespace troupe::model {

using kernels::Device;
using kernels::kPanelN;
using kernels::padded;
using kernels::Stored;

void Transformer::mlp_forward(const LayerWeights& w, Activations& a, int64_t layer, int64_t N,
                              Device<float> out) {
  const int64_t D = c_.hidden_size;
  backend_.rmsnorm(stream(), {.y = a.h1,
                              .rstd = a.rstd1,
                              .x = a.x1,
                              .weight = w.post_norm.value,
                              .N = N,
                              .D = D,
                              .ldx = D,
                              .ldy = D,
                              .epsilon = static_cast<float>(c_.rms_norm_eps)});
  const auto plain = [&](const MlpWeights& mlp, int64_t F) {
    const int64_t up = padded(F, kPanelN);
    multiply(a.gate_up, a.h1, gate_and_up(mlp.gate), N, 2 * up, D);
    backend_.swiglu(
        stream(),
        {.y = a.inner, .gate = a.gate_up, .up = a.gate_up + up, .N = N, .F = F, .ld = 2 * up});
    multiply(out, a.inner, mlp.down.w, N, D, F, /*accumulates=*/true);
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
                           .groups_by_best = c_.family == Family::kDeepseekV2,
                           .is_softmax = c_.has_softmax_router(),
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
  const int64_t up = padded(F, kPanelN);
  backend_.grouped_gemm(stream(), {.gemm = {.y = a.expert_gate_up,
                                            .x = a.h1,
                                            .w = gate_and_up(w.experts.gate.first),
                                            .M = N * K,
                                            .ldy = 2 * up,
                                            .ldx = D,
                                            .x_rows = a.row_token},
                                   .w_stride_bytes = w.experts.gate.w_stride_bytes,
                                   .num_groups = E,
                                   .offsets = a.offsets});
  backend_.swiglu(stream(), {.y = a.expert_inner,
                             .gate = a.expert_gate_up,
                             .up = a.expert_gate_up + up,
                             .N = N * K,
                             .F = F,
                             .ld = 2 * up});
  if (c_.n_shared_experts > 0) plain(w.shared, c_.n_shared_experts * F);
  backend_.combine_experts(stream(), {.out = out,
                                      .x = a.expert_inner,
                                      .w = w.experts.down.first.w,
                                      .w_stride_bytes = w.experts.down.w_stride_bytes,
                                      .weight = a.weight,
                                      .slot_row = a.slot_row,
                                      .offsets = a.offsets,
                                      .N = N,
                                      .K = K,
                                      .D = D,
                                      .E = E,
                                      .F = F});
}

void Transformer::swiglu_backward(const MlpWeights& w, Activations& a, int64_t F, int64_t N,
                                  Device<float> gradient) {
  const int64_t D = c_.hidden_size;
  multiply(da_, dxs_, w.down.wt, N, F, D);
  learn(gradient, w.down, D, F, dxs_, D, a.inner, F, N);
  const int64_t up = padded(F, kPanelN);
  backend_.swiglu_backward(stream(), {.dgate = dgate_,
                                      .dup = dup_,
                                      .da = da_,
                                      .gate = a.gate_up,
                                      .up = a.gate_up + up,
                                      .N = N,
                                      .F = F,
                                      .ld = 2 * up});
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
                                                               .x_rows = x_rows,
                                                               .overwrites = overwrites_},
                                                  .num_groups = E,
                                                  .dw_stride = list.stride,
                                                  .offsets = a.offsets});
    };
    backend_.grouped_gemm(stream(), {.gemm = {.y = da_,
                                              .x = dxs_,
                                              .w = w.experts.down.first.wt,
                                              .M = rows,
                                              .ldy = F,
                                              .ldx = D,
                                              .x_rows = a.row_token},
                                     .w_stride_bytes = w.experts.down.wt_stride_bytes,
                                     .num_groups = E,
                                     .offsets = a.offsets});
    const int64_t up = padded(F, kPanelN);
    backend_.swiglu_backward(stream(), {.dgate = dgate_,
                                        .dup = dup_,
                                        .weighted = weighted_,
                                        .dweight = dweight_,
                                        .da = da_,
                                        .gate = a.expert_gate_up,
                                        .up = a.expert_gate_up + up,
                                        .weight = a.weight,
                                        .slot_row = a.slot_row,
                                        .N = rows,
                                        .F = F,
                                        .ld = 2 * up,
                                        .num_slots = rows});
    backend_.combine_experts(stream(), {.out = dh_,
                                        .x = dgate_,
                                        .x2 = dup_,
                                        .w = w.experts.gate.first.wt,
                                        .w2 = w.experts.up.first.wt,
                                        .w_stride_bytes = w.experts.gate.wt_stride_bytes,
                                        .slot_row = a.slot_row,
                                        .offsets = a.offsets,
                                        .N = N,
                                        .K = K,
                                        .D = D,
                                        .E = E,
                                        .F = F});
    grouped_learn(w.experts.down, D, F, dxs_, a.row_token, weighted_, {});
    grouped_learn(w.experts.gate, F, D, dgate_, {}, a.h1, a.row_token);
    grouped_learn(w.experts.up, F, D, dup_, {}, a.h1, a.row_token);
    backend_.gate_backward(stream(), {.dlogit = drouter_,
                                      .dweight = dweight_,
                                      .expert = a.expert,
                                      .score = a.score,
                                      .N = N,
                                      .E = E,
                                      .K = K,
                                      .is_softmax = c_.has_softmax_router(),
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

}  // namespace troupe::model

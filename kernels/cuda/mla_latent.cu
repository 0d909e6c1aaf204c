// MlaLatent of latent_attention.h on CUDA, and its gradient: a block for each token.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/rope.h"
#include "kernels/cuda/row.h"
#include "kernels/latent_attention.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {

TROUPE_KERNEL(kRowThreads) mla_latent_kernel(MlaLatent args, int W, bool is_aligned) {
  TROUPE_SHARED(float, partials, kRowWarps);
  const int R = static_cast<int>(args.R), P = static_cast<int>(args.P);
  const int64_t n = block_index().x;
  const float* kv = at(args.kv) + n * (R + P);
  const float* angles = at(args.table) + static_cast<int64_t>(at(args.position)[n]) * P;
  uint16_t* row = bf16_at(args.cache) + static_cast<int64_t>(at(args.slot)[n]) * W;

  float sum = 0;
  for (int d = thread_index() * 4; d < R; d += kRowStep) {
    const Float4 v = four(kv, d, R, is_aligned);
    sum = fma(v.x, v.x, sum);
    sum = fma(v.y, v.y, sum);
    sum = fma(v.z, v.z, sum);
    sum = fma(v.w, v.w, sum);
  }
  const float squares = row_sum(sum, partials);
  const float rstd =
      divide(1.0f, square_root(divide(squares, static_cast<float>(R)) + args.epsilon));
  if (thread_index() == 0) at(args.rstd)[n] = rstd;

  for (int d = thread_index(); d < R; d += kRowThreads) {
    row[d] = to_bf16(kv[d] * rstd * at(args.weight)[d]);
  }
  for (int i = 2 * thread_index(); i < P; i += 2 * kRowThreads) {
    const Pair turned = rotated({kv[R + i], kv[R + i + 1]}, angles + i);
    row[R + i] = to_bf16(turned.a);
    row[R + i + 1] = to_bf16(turned.b);
  }
  for (int i = R + P + thread_index(); i < W; i += kRowThreads) row[i] = 0;
}

TROUPE_KERNEL(kRowThreads)
mla_latent_backward_kernel(MlaLatentBackward args, int W, bool kv_is_aligned,
                           bool dlatent_is_aligned, bool weight_is_aligned) {
  TROUPE_SHARED(float, partials, kRowWarps);
  const int R = static_cast<int>(args.R), P = static_cast<int>(args.P);
  const int64_t n = block_index().x;
  const float* kv = at(args.kv) + n * (R + P);
  const float* dlatent = at(args.dlatent) + n * W;
  const float* weight = at(args.weight);
  const float* angles = at(args.table) + static_cast<int64_t>(at(args.position)[n]) * P;
  uint16_t* dkv = bf16_at(args.dkv) + n * (R + P);

  float sum = 0;
  for (int d = thread_index() * 4; d < R; d += kRowStep) {
    const Float4 v = four(kv, d, R, kv_is_aligned), g = four(dlatent, d, R, dlatent_is_aligned);
    const Float4 w = four(weight, d, R, weight_is_aligned);
    sum = fma(g.x * w.x, v.x, sum);
    sum = fma(g.y * w.y, v.y, sum);
    sum = fma(g.z * w.z, v.z, sum);
    sum = fma(g.w * w.w, v.w, sum);
  }
  const float dot = row_sum(sum, partials);
  const float rstd = at(args.rstd)[n];
  const float shrink = rstd * rstd * divide(dot, static_cast<float>(R));

  for (int d = thread_index(); d < R; d += kRowThreads) {
    dkv[d] = to_bf16(rstd * (dlatent[d] * weight[d] - kv[d] * shrink));
  }
  for (int i = 2 * thread_index(); i < P; i += 2 * kRowThreads) {
    const Pair turned = rotated_back({dlatent[R + i], dlatent[R + i + 1]}, angles + i);
    dkv[R + i] = to_bf16(turned.a);
    dkv[R + i + 1] = to_bf16(turned.b);
  }
}

// A block has 32 columns, see column_sum().
TROUPE_KERNEL(kRowThreads) mla_latent_weight_gradient_kernel(MlaLatentBackward args, int W) {
  TROUPE_SHARED(float, partials, kRowThreads);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t d = static_cast<int64_t>(block_index().x) * kWarp + lane;
  const bool is_inside = d < args.R;
  const float before = warp == 0 && is_inside ? at(args.dweight)[d] : 0;
  const float sum = column_sum(before, args.N, is_inside, partials, [&](float partial, int64_t n) {
    const float normed = at(args.kv)[n * (args.R + args.P) + d] * at(args.rstd)[n];
    return fma(at(args.dlatent)[n * W + d], normed, partial);
  });
  if (warp == 0 && is_inside) at(args.dweight)[d] = sum;
}

void mla_latent(StreamHandle stream, const MlaLatent& args) {
  TROUPE_CHECK(args.cache.element_bytes == 2);
  TROUPE_CHECK(args.R > 0 && args.R <= INT32_MAX / 4 && args.P <= INT32_MAX / 4);
  TROUPE_CHECK(args.P % 2 == 0);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  launch(mla_latent_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args,
         static_cast<int>(padded(args.R + args.P)), rows_are_aligned(args.kv, args.R + args.P));
}

void mla_latent_backward(StreamHandle stream, const MlaLatentBackward& args) {
  TROUPE_CHECK(args.dkv.element_bytes == 2);
  TROUPE_CHECK(args.R > 0 && args.R <= INT32_MAX / 4 && args.P <= INT32_MAX / 4);
  TROUPE_CHECK(args.P % 2 == 0);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  const int W = static_cast<int>(padded(args.R + args.P));
  launch(mla_latent_backward_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args, W,
         rows_are_aligned(args.kv, args.R + args.P), rows_are_aligned(args.dlatent, W),
         rows_are_aligned(args.weight, 0));
  launch(mla_latent_weight_gradient_kernel, static_cast<unsigned>((args.R + kWarp - 1) / kWarp),
         kRowThreads, 0, stream, args, W);
}

}  // namespace troupe::kernels::cuda

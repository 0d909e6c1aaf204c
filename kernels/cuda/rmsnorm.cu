// rmsnorm.h on CUDA: a block for each row. A row's bits depend on the row, the weight and D.
#include "kernels/rmsnorm.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/row.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
TROUPE_KERNEL(kRowThreads) rmsnorm_kernel(RmsNorm args, bool is_aligned) {
  TROUPE_SHARED(float, partials, kRowWarps);
  const int D = static_cast<int>(args.D);
  const int64_t n = block_index().x;
  const int64_t row = args.x_rows.address != 0 ? at(args.x_rows)[n] : n;
  const float* x = at(args.x) + row * args.ldx;

  float sum = 0;
  for (int d = thread_index() * 4; d < D; d += kRowStep) {
    const Float4 v = four(x, d, D, is_aligned);
    sum = fma(v.x, v.x, sum);
    sum = fma(v.y, v.y, sum);
    sum = fma(v.z, v.z, sum);
    sum = fma(v.w, v.w, sum);
  }
  const float squares = row_sum(sum, partials);
  const float rstd =
      divide(1.0f, square_root(divide(squares, static_cast<float>(D)) + args.epsilon));
  if (thread_index() == 0) at(args.rstd)[n] = rstd;

  for (int d = thread_index() * 4; d < D; d += kRowStep) {
    const Float4 v = four(x, d, D, is_aligned);
    const Float4 w = four(at(args.weight), d, D, is_aligned);
    const float y[4] = {v.x * rstd * w.x, v.y * rstd * w.y, v.z * rstd * w.z, v.w * rstd * w.w};
    const int64_t to = n * args.ldy + d;
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (d + i < D) bf16_at(args.y)[to + i] = to_bf16(y[i]);
    }
  }
}

TROUPE_KERNEL(kRowThreads)
rmsnorm_backward_kernel(RmsNormBackward args, bool x_is_aligned, bool dy_is_aligned) {
  TROUPE_SHARED(float, partials, kRowWarps);
  const int D = static_cast<int>(args.D);
  const int64_t n = block_index().x;
  const int64_t row = args.x_rows.address != 0 ? at(args.x_rows)[n] : n;
  const float* x = at(args.x) + row * args.ldx;
  const float* dy = at(args.dy) + n * args.lddy;
  float* dx = at(args.dx) + row * args.ldx;

  float sum = 0;
  for (int d = thread_index() * 4; d < D; d += kRowStep) {
    const Float4 v = four(x, d, D, x_is_aligned), g = four(dy, d, D, dy_is_aligned);
    const Float4 w = four(at(args.weight), d, D, x_is_aligned);
    sum = fma(g.x * w.x, v.x, sum);
    sum = fma(g.y * w.y, v.y, sum);
    sum = fma(g.z * w.z, v.z, sum);
    sum = fma(g.w * w.w, v.w, sum);
  }
  const float dot = row_sum(sum, partials);
  const float rstd = at(args.rstd)[n];
  const float shrink = rstd * rstd * divide(dot, static_cast<float>(D));

  for (int d = thread_index() * 4; d < D; d += kRowStep) {
    const Float4 v = four(x, d, D, x_is_aligned), g = four(dy, d, D, dy_is_aligned);
    const Float4 w = four(at(args.weight), d, D, x_is_aligned);
    const float gradient[4] = {rstd * (g.x * w.x - v.x * shrink), rstd * (g.y * w.y - v.y * shrink),
                               rstd * (g.z * w.z - v.z * shrink),
                               rstd * (g.w * w.w - v.w * shrink)};
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (d + i < D) dx[d + i] = args.overwrites ? gradient[i] : dx[d + i] + gradient[i];
    }
  }
}

// A block has 32 columns, see column_sum().
TROUPE_KERNEL(kRowThreads) rmsnorm_weight_gradient_kernel(RmsNormBackward args) {
  TROUPE_SHARED(float, partials, kRowThreads);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t d = static_cast<int64_t>(block_index().x) * kWarp + lane;
  const bool is_inside = d < args.D;
  const float before = warp == 0 && is_inside ? at(args.dweight)[d] : 0;
  const float sum = column_sum(before, args.N, is_inside, partials, [&](float partial, int64_t n) {
    const int64_t row = args.x_rows.address != 0 ? at(args.x_rows)[n] : n;
    const float normed = at(args.x)[row * args.ldx + d] * at(args.rstd)[n];
    return fma(at(args.dy)[n * args.lddy + d], normed, partial);
  });
  if (warp == 0 && is_inside) at(args.dweight)[d] = sum;
}

void rmsnorm(StreamHandle stream, const RmsNorm& args) {
  TROUPE_CHECK(args.y.element_bytes == 2);
  TROUPE_CHECK(args.D > 0 && args.D <= INT32_MAX / 2);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  const bool is_aligned = rows_are_aligned(args.x, args.ldx) && rows_are_aligned(args.weight, 0);
  launch(rmsnorm_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args, is_aligned);
}

void rmsnorm_backward(StreamHandle stream, const RmsNormBackward& args) {
  TROUPE_CHECK(args.D > 0 && args.D <= INT32_MAX / 2);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  const bool x_is_aligned = rows_are_aligned(args.x, args.ldx) && rows_are_aligned(args.weight, 0);
  launch(rmsnorm_backward_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args,
         x_is_aligned, rows_are_aligned(args.dy, args.lddy));
  launch(rmsnorm_weight_gradient_kernel, static_cast<unsigned>((args.D + kWarp - 1) / kWarp),
         kRowThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

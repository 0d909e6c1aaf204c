// rmsnorm.h on CUDA: a block for each row. A row's bits depend on the row, the weight and D.
#include "kernels/rmsnorm.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

// The arithmetic has 256 partial sums (README.md), so this is no free choice.
constexpr int kThreads = 256, kWarps = kThreads / kWarp;

// Elements [d, d + 4) of a row, zeros behind D. `is_aligned` says that the row lies on 16 bytes.
TROUPE_DEVICE Float4 four(const float* row, int d, int D, bool is_aligned) {
  if (is_aligned && d + 4 <= D) return *reinterpret_cast<const Float4*>(row + d);
  return {row[d], d + 1 < D ? row[d + 1] : 0, d + 2 < D ? row[d + 2] : 0,
          d + 3 < D ? row[d + 3] : 0};
}

}  // namespace

TROUPE_KERNEL(kThreads) rmsnorm_kernel(RmsNorm args, bool is_aligned) {
  TROUPE_SHARED(float, partials, kWarps);
  TROUPE_SHARED(float, row_rstd, 1);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int D = static_cast<int>(args.D);
  const int64_t n = block_index().x;
  const int64_t row = args.x_rows.address != 0 ? at(args.x_rows)[n] : n;
  const float* x = at(args.x) + row * args.ldx;

  float sum = 0;
  for (int d = thread_index() * 4; d < D; d += kThreads * 4) {
    const Float4 v = four(x, d, D, is_aligned);
    sum = fma(v.x, v.x, sum);
    sum = fma(v.y, v.y, sum);
    sum = fma(v.z, v.z, sum);
    sum = fma(v.w, v.w, sum);
  }
  sum = warp_sum(sum);
  if (lane == 0) partials[warp] = sum;
  sync_block();
  if (warp == 0) {
    const float squares = warp_sum(lane < kWarps ? partials[lane] : 0);
    if (lane == 0) {
      const float rstd =
          divide(1.0f, square_root(divide(squares, static_cast<float>(D)) + args.epsilon));
      row_rstd[0] = rstd;
      at(args.rstd)[n] = rstd;
    }
  }
  sync_block();

  const float rstd = row_rstd[0];
  for (int d = thread_index() * 4; d < D; d += kThreads * 4) {
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

void rmsnorm(StreamHandle stream, const RmsNorm& args) {
  TROUPE_CHECK(args.y.element_bytes == 2);
  TROUPE_CHECK(args.D > 0 && args.D <= INT32_MAX / 2);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  const bool is_aligned =
      args.ldx % 4 == 0 && args.x.address % 16 == 0 && args.weight.address % 16 == 0;
  launch(rmsnorm_kernel, static_cast<unsigned>(args.N), kThreads, 0, stream, args, is_aligned);
}

}  // namespace troupe::kernels::cuda

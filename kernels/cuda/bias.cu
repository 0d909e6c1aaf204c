// AddBias and BiasGradient of head_rows.h on CUDA.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/row.h"
#include "kernels/head_rows.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kEach = 4, kColumns = kRowThreads * kEach;  // Of a block.

}  // namespace

TROUPE_KERNEL(kRowThreads) add_bias_kernel(AddBias args) {
  float* y = at(args.y) + block_index().x * args.n;
  TROUPE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t column =
        static_cast<int64_t>(block_index().y) * kColumns + i * kRowThreads + thread_index();
    if (column < args.n) y[column] += at(args.bias)[column];
  }
}

// A block has 32 columns, see column_sum().
TROUPE_KERNEL(kRowThreads) bias_gradient_kernel(BiasGradient args) {
  TROUPE_SHARED(float, partials, kRowThreads);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t column = static_cast<int64_t>(block_index().x) * kWarp + lane;
  const bool is_inside = column < args.n;
  const float before = warp == 0 && is_inside ? at(args.dbias)[column] : 0;
  const float sum = column_sum(before, args.N, is_inside, partials, [&](float partial, int64_t n) {
    return partial + from_bf16(bf16_at(args.dy)[n * args.n + column]);
  });
  if (warp == 0 && is_inside) at(args.dbias)[column] = sum;
}

void add_bias(StreamHandle stream, const AddBias& args) {
  TROUPE_CHECK(args.N <= INT32_MAX && args.n <= int64_t{65535} * kColumns);  // Bounds of a grid.
  if (args.N == 0 || args.n == 0) return;
  const Extent grid(static_cast<unsigned>(args.N),
                    static_cast<unsigned>((args.n + kColumns - 1) / kColumns));
  launch(add_bias_kernel, grid, kRowThreads, 0, stream, args);
}

void bias_gradient(StreamHandle stream, const BiasGradient& args) {
  TROUPE_CHECK(args.dy.element_bytes == 2);
  const int64_t blocks = (args.n + kWarp - 1) / kWarp;
  TROUPE_CHECK(blocks <= INT32_MAX);
  if (args.N == 0 || blocks == 0) return;
  launch(bias_gradient_kernel, static_cast<unsigned>(blocks), kRowThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

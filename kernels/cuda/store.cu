// Rows rounded to bf16, into operands of products or in place, on CUDA: each element by itself.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256, kEach = 4, kColumns = kThreads * kEach;  // Of a block.

}  // namespace

TROUPE_KERNEL(kThreads) store_kernel(Store args) {
  const int64_t row = block_index().x;
  const float* from = at(args.from) + row * args.ldfrom;
  uint16_t* to = bf16_at(args.to) + row * args.ldto;
  TROUPE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t column =
        static_cast<int64_t>(block_index().y) * kColumns + i * kThreads + thread_index();
    if (column < args.n) to[column] = to_bf16(from[column]);
  }
}

TROUPE_KERNEL(kThreads) round_bf16_kernel(RoundBf16 args) {
  TROUPE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t n =
        static_cast<int64_t>(block_index().x) * kColumns + i * kThreads + thread_index();
    if (n < args.n) at(args.x)[n] = from_bf16(to_bf16(at(args.x)[n]));
  }
}

void store(StreamHandle stream, const Store& args) {
  TROUPE_CHECK(args.to.element_bytes == 2);
  TROUPE_CHECK(args.N <= INT32_MAX && args.n <= int64_t{65535} * kColumns);  // Bounds of a grid.
  if (args.N == 0 || args.n == 0) return;
  const Extent grid(static_cast<unsigned>(args.N),
                    static_cast<unsigned>((args.n + kColumns - 1) / kColumns));
  launch(store_kernel, grid, kThreads, 0, stream, args);
}

void round_bf16(StreamHandle stream, const RoundBf16& args) {
  const int64_t blocks = (args.n + kColumns - 1) / kColumns;
  TROUPE_CHECK(blocks <= INT32_MAX);
  if (blocks == 0) return;
  launch(round_bf16_kernel, static_cast<unsigned>(blocks), kThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

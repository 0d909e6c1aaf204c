// swiglu.h on CUDA: each element is a function of its own two numbers.
#include "kernels/swiglu.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/elementary.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256, kEach = 4, kColumns = kThreads * kEach;  // Of a block.

}  // namespace

TROUPE_KERNEL(kThreads) swiglu_kernel(Swiglu args) {
  const int64_t n = block_index().x;
  const float* gate = at(args.gate) + n * args.ld;
  const float* up = at(args.up) + n * args.ld;
  uint16_t* y = bf16_at(args.y) + n * args.F;
  TROUPE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t f =
        static_cast<int64_t>(block_index().y) * kColumns + i * kThreads + thread_index();
    if (f < args.F) y[f] = to_bf16(gate[f] * sigmoid(gate[f]) * up[f]);
  }
}

void swiglu(StreamHandle stream, const Swiglu& args) {
  TROUPE_CHECK(args.y.element_bytes == 2);
  TROUPE_CHECK(args.N <= INT32_MAX);
  TROUPE_CHECK(args.F <= int64_t{65535} * kColumns);  // The bound of a grid.
  if (args.N == 0 || args.F == 0) return;
  const Extent grid(static_cast<unsigned>(args.N),
                    static_cast<unsigned>((args.F + kColumns - 1) / kColumns));
  launch(swiglu_kernel, grid, kThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

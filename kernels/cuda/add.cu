// Sums of whole arrays on CUDA: y += x, and the sums of squares that a gradient's norm is made of.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/row.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kEach = 4, kElements = kRowThreads * kEach;  // Of a block.

}  // namespace

TROUPE_KERNEL(kRowThreads) add_kernel(Add args) {
  TROUPE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t n =
        static_cast<int64_t>(block_index().x) * kElements + i * kRowThreads + thread_index();
    if (n < args.n) at(args.y)[n] += at(args.x)[n];
  }
}

// A block for each chunk. Squares of floats are exact in double.
TROUPE_KERNEL(kRowThreads) square_sums_kernel(SquareSums args, bool is_aligned) {
  TROUPE_SHARED(double, partials, kRowThreads);
  const int64_t chunk = block_index().x, begin = chunk * kChunkElements;
  const int64_t left = args.n - begin;
  const int n = static_cast<int>(left < kChunkElements ? left : kChunkElements);
  const float* x = at(args.x) + begin;
  double sum = 0;
  for (int i = thread_index() * 4; i < n; i += kRowStep) {
    const Float4 v = four(x, i, n, is_aligned);
    sum += static_cast<double>(v.x) * static_cast<double>(v.x);
    sum += static_cast<double>(v.y) * static_cast<double>(v.y);
    sum += static_cast<double>(v.z) * static_cast<double>(v.z);
    sum += static_cast<double>(v.w) * static_cast<double>(v.w);
  }
  partials[thread_index()] = sum;
  for (int half = kRowThreads / 2; half > 0; half /= 2) {
    sync_block();
    if (thread_index() < half) {
      partials[thread_index()] += partials[thread_index() + half];
    }
  }
  if (thread_index() == 0) at(args.sums)[chunk] = partials[0];
}

void add(StreamHandle stream, const Add& args) {
  const int64_t blocks = (args.n + kElements - 1) / kElements;
  TROUPE_CHECK(blocks <= INT32_MAX);
  if (blocks == 0) return;
  launch(add_kernel, static_cast<unsigned>(blocks), kRowThreads, 0, stream, args);
}

void square_sums(StreamHandle stream, const SquareSums& args) {
  const int64_t blocks = (args.n + kChunkElements - 1) / kChunkElements;
  TROUPE_CHECK(blocks <= INT32_MAX);
  if (blocks == 0) return;
  launch(square_sums_kernel, static_cast<unsigned>(blocks), kRowThreads, 0, stream, args,
         rows_are_aligned(args.x, 0));
}

}  // namespace troupe::kernels::cuda

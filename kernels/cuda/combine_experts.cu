// CombineExperts of gate.h on CUDA. Rows of products are made for some columns at a time, in memory
// of the caller, and added up for each token; how many columns that are changes no bit.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/gate.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kColumnsUnit = 64;  // Of a tile of products.

}  // namespace

// Columns [first, first + width) of out, from rows `ld` apart.
TROUPE_KERNEL(kThreads)
combine_kernel(CombineExperts args, Device<float> rows, int64_t ld, int64_t first, int64_t width) {
  const int64_t n = block_index().x, K = args.K;
  const int64_t column = static_cast<int64_t>(block_index().y) * kThreads + thread_index();
  if (column >= width) return;
  const int32_t* slot_row = at(args.slot_row) + n * K;
  float sum = 0;
  for (int64_t k = 0; k < K; ++k) {
    const float value = at(rows)[slot_row[k] * ld + column];
    sum += args.weight.address != 0 ? at(args.weight)[n * K + k] * value : value;
  }
  at(args.out)[n * args.D + first + column] += sum;
}

void combine_experts(StreamHandle stream, const CombineExperts& args, const Scratch& scratch) {
  const int64_t M = args.N * args.K, D = args.D;
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (M == 0 || D == 0) return;
  const int64_t fit = scratch.size / M / kColumnsUnit * kColumnsUnit;
  TROUPE_CHECK(fit > 0);
  const int64_t columns = fit < padded(D, kColumnsUnit) ? fit : padded(D, kColumnsUnit);
  for (int64_t first = 0; first < D; first += columns) {
    const int64_t width = D - first < columns ? D - first : columns;
    // Rows of a weight are columns of a product.
    const auto product = [&](Stored x, const Packed& w, bool accumulates) {
      GroupedGemm part;
      part.gemm.y = scratch.floats;
      part.gemm.x = x;
      part.gemm.w = {w.address + static_cast<uint64_t>(first * padded(args.F) * 2), width, args.F};
      part.gemm.M = M;
      part.gemm.ldy = columns;
      part.gemm.ldx = args.F;
      part.gemm.accumulates = accumulates;
      part.w_stride_bytes = args.w_stride_bytes;
      part.num_groups = args.E;
      part.offsets = args.offsets;
      grouped_gemm(stream, part);
    };
    product(args.x, args.w, false);
    if (args.x2) product(args.x2, args.w2, true);
    const Extent grid(static_cast<unsigned>(args.N),
                      static_cast<unsigned>((width + kThreads - 1) / kThreads));
    launch(combine_kernel, grid, kThreads, 0, stream, args, scratch.floats, columns, first, width);
  }
}

}  // namespace troupe::kernels::cuda

// product.h's WeightGradient and GroupedWeightGradient on tensor cores: a product whose inner axis
// are the rows of both operands. An element of dw is one chain of sixteen-wide steps over the
// group's rows in their order, so the shape of a tile is a free choice, and no sum is split over
// blocks.
//
// Phases of a block, as in product.cu: copy the first rows of dy and x into shared memory; per step
// of kStepT rows wait for them, start the copy of those some steps ahead, multiply with both
// operands transposed as they are loaded; add to dw.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/tile.h"
#include "kernels/product.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kStepT = 32, kStages = 3, kWarps = 4, kThreads = kWarps * kWarp;
constexpr int kTile = 64;  // Rows and columns of dw; a warp has 32 of each.
constexpr int kChunks = kTile / kChunk;
constexpr int kOperandElements = kStepT * kTile, kStageElements = 2 * kOperandElements;
constexpr size_t kSharedBytes = kStages * kStageElements * sizeof(uint16_t);
constexpr int kCopies = 2 * kStepT * kChunks / kThreads;  // Of a thread, in each step.
static_assert(kCopies % 2 == 0);                          // The first half is of dy.

// Where a chunk of a tile's row lies. Chunks are swapped by row, so that the eight rows of a matrix
// that are read together fall on all banks.
TROUPE_DEVICE int chunk_at(int row, int chunk) {
  return row * kTile + (chunk ^ (row & (kChunks - 1))) * kChunk;
}

// One operand of a step: rows of a matrix `ld` apart, named by `rows` where there are such.
struct Operand {
  const uint16_t* matrix;
  const int32_t* rows;
  int64_t ld;
  int width;  // Columns from the tile's first on.
  bool is_aligned;
};

TROUPE_DEVICE Operand operand_of(Stored matrix, Device<int32_t> rows, int64_t ld, int64_t first,
                                 int64_t column, int64_t columns, bool is_aligned) {
  const int64_t left = columns - column;
  Operand operand{bf16_at(matrix) + column, nullptr, ld,
                  static_cast<int>(left < kTile ? left : kTile), is_aligned};
  if (rows.address != 0) {
    operand.rows = at(rows) + first;
  } else {
    operand.matrix += first * ld;
  }
  return operand;
}

TROUPE_DEVICE void copy_rows(uint16_t* to, const Operand& from, int64_t t, int64_t T, int row,
                             int chunk) {
  const bool is_there = t < T;
  const int64_t source = is_there ? (from.rows != nullptr ? from.rows[t] : t) * from.ld : 0;
  copy_chunk(to + chunk_at(row, chunk), from.matrix + source + chunk * kChunk,
             is_there ? from.width - chunk * kChunk : 0, from.matrix, from.is_aligned);
}

}  // namespace

TROUPE_KERNEL(kThreads)
weight_gradient_kernel(GroupedWeightGradient grouped, bool dy_is_aligned, bool x_is_aligned) {
  TROUPE_DYNAMIC_SHARED(shared);
  uint16_t* tiles = reinterpret_cast<uint16_t*>(shared);
  const WeightGradient& args = grouped.gradient;
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t col0 = static_cast<int64_t>(block_index().x) * kTile;
  const int64_t row0 = static_cast<int64_t>(block_index().y) * kTile;
  const int64_t group = block_index().z;
  int64_t first = 0, T = args.T;
  if (grouped.offsets.address != 0) {
    first = at(grouped.offsets)[group];
    T = at(grouped.offsets)[group + 1] - first;
  }
  const Operand dy =
      operand_of(args.dy, args.dy_rows, args.lddy, first, row0, args.rows, dy_is_aligned);
  const Operand x = operand_of(args.x, args.x_rows, args.ldx, first, col0, args.cols, x_is_aligned);
  const int steps = static_cast<int>((T + kStepT - 1) / kStepT);

  const auto start_copies = [&](int step) {
    if (step < steps) {
      uint16_t* stage = tiles + step % kStages * kStageElements;
      TROUPE_UNROLL
      for (int i = 0; i < kCopies / 2; ++i) {
        const int index = thread_index() + i * kThreads;
        const int row = index / kChunks, chunk = index % kChunks;
        const int64_t t = static_cast<int64_t>(step) * kStepT + row;
        copy_rows(stage, dy, t, T, row, chunk);
        copy_rows(stage + kOperandElements, x, t, T, row, chunk);
      }
    }
    copy_commit();  // Also without copies, so that the number of groups behind is always the same.
  };
  for (int step = 0; step < kStages - 1; ++step) start_copies(step);

  float sums[2][4][4] = {};
  const int warp_row = warp / 2 * 32, warp_col = warp % 2 * 32;
  for (int step = 0; step < steps; ++step) {
    copy_wait<kStages - 2>();
    sync_block();  // All copies of this step have come, and the stage before it is free.
    start_copies(step + kStages - 1);
    const uint16_t* dy_tile = tiles + step % kStages * kStageElements;
    const uint16_t* x_tile = dy_tile + kOperandElements;
    TROUPE_UNROLL
    for (int k = 0; k < kStepT / 16; ++k) {
      uint32_t a[2][4], b[2][4];
      TROUPE_UNROLL
      for (int i = 0; i < 2; ++i) {
        // Matrices of a: of eight columns of dy after the other, then of eight rows.
        load_matrix_x4_transposed(a[i],
                                  dy_tile + chunk_at(k * 16 + lane / 16 * 8 + lane % 8,
                                                     (warp_row + i * 16) / kChunk + lane / 8 % 2));
      }
      TROUPE_UNROLL
      for (int i = 0; i < 2; ++i) {
        // Of b: of eight rows of x after the other, then of eight columns.
        load_matrix_x4_transposed(
            b[i], x_tile + chunk_at(k * 16 + lane % 16, (warp_col + i * 16) / kChunk + lane / 16));
      }
      TROUPE_UNROLL
      for (int i = 0; i < 2; ++i) {
        TROUPE_UNROLL
        for (int j = 0; j < 4; ++j) {
          const uint32_t column[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
          mma_m16n8k16_bf16(sums[i][j], a[i], column);
        }
      }
    }
  }

  if (T == 0 && !args.overwrites) return;
  float* dw = at(args.dw) + group * grouped.dw_stride;
  TROUPE_UNROLL
  for (int i = 0; i < 2; ++i) {
    TROUPE_UNROLL
    for (int j = 0; j < 4; ++j) {
      TROUPE_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int64_t row = row0 + warp_row + i * 16 + lane / 4 + e / 2 * 8;
        const int64_t col = col0 + warp_col + j * 8 + lane % 4 * 2 + e % 2;
        if (row >= args.rows || col >= args.cols) continue;
        float* to = dw + row * args.ldw + col;
        *to = (args.overwrites ? 0.0f : *to) + sums[i][j][e];
      }
    }
  }
}

namespace {

void launch_tiles(StreamHandle stream, const GroupedWeightGradient& args, int64_t num_groups) {
  const WeightGradient& gradient = args.gradient;
  TROUPE_CHECK(gradient.dy.element_bytes == 2 && gradient.x.element_bytes == 2);
  const auto is_aligned = [](Stored matrix, int64_t ld) {
    return matrix.address % 16 == 0 && ld % kChunk == 0;
  };
  const int64_t across = (gradient.cols + kTile - 1) / kTile;
  const int64_t down = (gradient.rows + kTile - 1) / kTile;
  TROUPE_CHECK(across <= INT32_MAX && down <= 65535 && num_groups <= 65535);  // Bounds of a grid.
  TROUPE_CHECK(gradient.T <= INT32_MAX);
  if (across == 0 || down == 0 || num_groups == 0) return;
  launch(weight_gradient_kernel,
         Extent(static_cast<unsigned>(across), static_cast<unsigned>(down),
                static_cast<unsigned>(num_groups)),
         kThreads, kSharedBytes, stream, args, is_aligned(gradient.dy, gradient.lddy),
         is_aligned(gradient.x, gradient.ldx));
}

}  // namespace

void weight_gradient(StreamHandle stream, const WeightGradient& args) {
  GroupedWeightGradient one;
  one.gradient = args;
  launch_tiles(stream, one, 1);
}

void grouped_weight_gradient(StreamHandle stream, const GroupedWeightGradient& args) {
  TROUPE_CHECK(args.offsets.address != 0 || args.num_groups == 0);
  launch_tiles(stream, args, args.num_groups);
}

}  // namespace troupe::kernels::cuda

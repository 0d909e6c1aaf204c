// product.h's Gemm on tensor cores. An element of y is one chain of sixteen-wide steps over
// ascending k, whatever M is and wherever its tile lies, so a row's bits depend on that row and on
// w alone, and the shape of a tile is a free choice.
//
// Phases of a block: copy the first tiles of x and w into shared memory; per step of kStepK wait
// for its tiles, start the copy of those some steps ahead, multiply; write.
#include "kernels/product.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kStepK = 32, kStages = 3, kWarps = 4, kThreads = kWarps * kWarp;
constexpr int kChunk = 8;  // Elements of one asynchronous copy, sixteen bytes.
constexpr int kChunks = kStepK / kChunk;

// Four warps, kDown of them one below the other, each with kFragments times sixteen rows and 32
// columns.
template <int kDown, int kFragments>
struct Tile {
  static constexpr int kAcross = kWarps / kDown;
  static constexpr int kM = kDown * kFragments * 16;
  static constexpr int kN = kAcross * 32;
  static constexpr int kStageElements = (kM + kN) * kStepK;
  static constexpr size_t kSharedBytes = kStages * kStageElements * sizeof(uint16_t);
  static constexpr int kCopies = ((kM + kN) * kChunks + kThreads - 1) / kThreads;  // Of a thread.
};

// Where a chunk of a tile's row lies. Chunks are swapped by row, so that the eight rows of a matrix
// that are read together fall on all banks.
TROUPE_DEVICE int chunk_at(int row, int chunk) {
  return row * kStepK + (chunk ^ (row >> 1 & (kChunks - 1))) * kChunk;
}

// What one thread copies in each step: one chunk of a row of x or w.
struct Copy {
  const uint16_t* from;
  int to;    // Within a stage.
  int size;  // Elements of the row from this chunk on; 0 for a row that is not there.
};

TROUPE_DEVICE Copy chunk_of(const Gemm& args, const uint16_t* x, const uint16_t* w, int index,
                            int64_t m0, int64_t n0, int tile_m) {
  const int row = index / kChunks, chunk = index % kChunks;
  const int K = static_cast<int>(args.w.cols);
  Copy copy{x, chunk_at(row, chunk), 0};
  if (row < tile_m) {
    const int64_t m = m0 + row;
    if (m >= args.M) return copy;
    const int64_t source = args.x_rows.address != 0 ? at(args.x_rows)[m] : m;
    copy.from = x + source * args.ldx + chunk * kChunk;
    copy.size = K - chunk * kChunk;
  } else {
    const int64_t n = n0 + row - tile_m;
    if (n >= args.w.rows) return copy;
    const int width = (K + kStepK - 1) / kStepK * kStepK;
    copy.from = w + n * width + chunk * kChunk;
    copy.size = width - chunk * kChunk;
  }
  return copy;
}

TROUPE_DEVICE void write(const Gemm& args, int64_t part, int64_t m, int64_t n, float value) {
  if (m >= args.M || n >= args.w.rows) return;
  const int64_t to = part * args.y_part + m * args.ldy + n;
  if (args.y_stored.address != 0) {
    bf16_at(args.y_stored)[to] = to_bf16(value);
  } else {
    float* y = at(args.y) + to;
    *y = args.accumulates ? *y + value : value;
  }
}

}  // namespace

template <int kDown, int kFragments>
TROUPE_KERNEL(kThreads)
product_kernel(Gemm args) {
  using T = Tile<kDown, kFragments>;
  TROUPE_DYNAMIC_SHARED(shared);
  uint16_t* tiles = reinterpret_cast<uint16_t*>(shared);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t n0 = static_cast<int64_t>(block_index().x) * T::kN;
  const int64_t m0 = static_cast<int64_t>(block_index().y) * T::kM;
  const int64_t part = block_index().z;
  const int steps = static_cast<int>((args.w.cols + kStepK - 1) / kStepK);
  const uint16_t* x = bf16_at(args.x) + part * args.x_part;
  const uint16_t* w = reinterpret_cast<const uint16_t*>(
      args.w.address + static_cast<uint64_t>(part * args.w_part_bytes));

  Copy copies[T::kCopies];
  TROUPE_UNROLL
  for (int i = 0; i < T::kCopies; ++i) {
    const int index = thread_index() + i * kThreads;
    copies[i] = index < (T::kM + T::kN) * kChunks ? chunk_of(args, x, w, index, m0, n0, T::kM)
                                                  : Copy{nullptr, 0, 0};
  }
  const auto start_copies = [&](int step) {
    if (step < steps) {
      uint16_t* stage = tiles + step % kStages * T::kStageElements;
      TROUPE_UNROLL
      for (int i = 0; i < T::kCopies; ++i) {
        if (copies[i].from == nullptr) continue;
        const int left = copies[i].size - step * kStepK;
        const int elements = left < 0 ? 0 : left < kChunk ? left : kChunk;
        copy_async16(stage + copies[i].to, elements > 0 ? copies[i].from + step * kStepK : x,
                     elements * 2);
      }
    }
    copy_commit();  // Also without copies, so that the number of groups behind is always the same.
  };
  for (int step = 0; step < kStages - 1; ++step) start_copies(step);

  float sums[kFragments][4][4] = {};
  const int warp_m = warp / T::kAcross * kFragments * 16, warp_n = warp % T::kAcross * 32;
  for (int step = 0; step < steps; ++step) {
    copy_wait<kStages - 2>();
    sync_block();  // All copies of this step have come, and the stage before it is free.
    start_copies(step + kStages - 1);
    const uint16_t* x_tile = tiles + step % kStages * T::kStageElements;
    const uint16_t* w_tile = x_tile + T::kM * kStepK;
    TROUPE_UNROLL
    for (int k = 0; k < kStepK / 16; ++k) {
      uint32_t a[kFragments][4], b[2][4];
      TROUPE_UNROLL
      for (int i = 0; i < kFragments; ++i) {
        load_matrix_x4(a[i], x_tile + chunk_at(warp_m + i * 16 + lane % 16, k * 2 + lane / 16));
      }
      TROUPE_UNROLL
      for (int i = 0; i < 2; ++i) {
        const int row = warp_n + i * 16 + lane / 16 * 8 + lane % 8;
        load_matrix_x4(b[i], w_tile + chunk_at(row, k * 2 + lane / 8 % 2));
      }
      TROUPE_UNROLL
      for (int i = 0; i < kFragments; ++i) {
        TROUPE_UNROLL
        for (int j = 0; j < 4; ++j) {
          const uint32_t column[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
          mma_m16n8k16_bf16(sums[i][j], a[i], column);
        }
      }
    }
  }

  TROUPE_UNROLL
  for (int i = 0; i < kFragments; ++i) {
    TROUPE_UNROLL
    for (int j = 0; j < 4; ++j) {
      TROUPE_UNROLL
      for (int e = 0; e < 4; ++e) {
        write(args, part, m0 + warp_m + i * 16 + lane / 4 + e / 2 * 8,
              n0 + warp_n + j * 8 + lane % 4 * 2 + e % 2, sums[i][j][e]);
      }
    }
  }
}

namespace {

template <int kDown, int kFragments>
void launch_tiles(StreamHandle stream, const Gemm& args) {
  using T = Tile<kDown, kFragments>;
  const auto tiles = [](int64_t size, int tile) {
    return static_cast<unsigned>((size + tile - 1) / tile);
  };
  const Extent grid(tiles(args.w.rows, T::kN), tiles(args.M, T::kM),
                    static_cast<unsigned>(args.num_parts));
  launch(product_kernel<kDown, kFragments>, grid, kThreads, T::kSharedBytes, stream, args);
}

}  // namespace

void gemm(StreamHandle stream, const Gemm& args) {
  TROUPE_CHECK(args.x.element_bytes == 2);
  TROUPE_CHECK((args.y.address != 0) != (args.y_stored.address != 0));
  TROUPE_CHECK(!args.accumulates || args.y.address != 0);
  TROUPE_CHECK(args.x.address % 16 == 0 && args.ldx % kChunk == 0 && args.x_part % kChunk == 0);
  TROUPE_CHECK(args.w.address % 16 == 0 && args.w_part_bytes % 16 == 0);
  TROUPE_CHECK(args.w.cols > 0 && args.w.cols <= INT32_MAX / 2);
  TROUPE_CHECK(args.M <= 65535 * 16 && args.num_parts <= 65535);  // Bounds of a grid.
  if (args.M == 0 || args.w.rows == 0 || args.num_parts == 0) return;
  if (args.M <= 16) {
    launch_tiles<1, 1>(stream, args);  // Decoding: 16 x 128.
  } else {
    launch_tiles<2, 2>(stream, args);  // 64 x 64.
  }
}

}  // namespace troupe::kernels::cuda

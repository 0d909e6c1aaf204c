// product.h's Gemm and GroupedGemm on tensor cores. An element of y is one chain of sixteen-wide
// steps over ascending k, whatever M is and wherever its tile lies, so a row's bits depend on that
// row and on w alone, and the shape of a tile is a free choice.
//
// Phases of a block: copy the first tiles of x and w into shared memory; per step of kStepK wait
// for its tiles, start the copy of those some steps ahead, multiply; write.
#include "kernels/product.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/tile.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kStepK = 32, kStages = 3, kWarps = 4, kThreads = kWarps * kWarp;
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

// A tile of y: rows [begin, end) of it, by the weight of a group.
struct RowTile {
  int begin, end, group;
};

TROUPE_DEVICE Copy chunk_of(const Gemm& args, const RowTile& rows, const uint16_t* x,
                            const uint16_t* w, int index, int64_t n0, int tile_m) {
  const int row = index / kChunks, chunk = index % kChunks;
  const int K = static_cast<int>(args.w.cols);
  Copy copy{x, chunk_at(row, chunk), 0};
  if (row < tile_m) {
    const int m = rows.begin + row;
    if (m >= rows.end) return copy;
    const int source = args.x_rows.address != 0 ? at(args.x_rows)[m] : m;
    copy.from = x + source * args.ldx + chunk * kChunk;
    copy.size = K - chunk * kChunk;
  } else {
    copy.from = w;
    const int64_t n = n0 + row - tile_m;
    if (n >= args.w.rows) return copy;
    const int width = (K + kStepK - 1) / kStepK * kStepK;
    copy.from = w + n * width + chunk * kChunk;
    copy.size = width - chunk * kChunk;
  }
  return copy;
}

// The tile with this number, tiles being counted over all groups: found by every warp for itself.
// Behind the last one it is empty.
TROUPE_DEVICE RowTile tile_in_groups(const GroupedGemm& args, int tile, int tile_m) {
  const int lane = thread_index() % kWarp, groups = static_cast<int>(args.num_groups);
  const int32_t* offsets = at(args.offsets);
  int before = 0;  // Tiles of the groups that were looked at.
  for (int first = 0; first < groups; first += kWarp) {
    const int group = first + lane;
    const int rows = group < groups ? offsets[group + 1] - offsets[group] : 0;
    const int own = (rows + tile_m - 1) / tile_m;
    int end = own;  // Tiles up to this group's last.
    TROUPE_UNROLL
    for (int lanes = 1; lanes < kWarp; lanes *= 2) {
      const int other = shuffle(kAllLanes, end, lane - lanes);
      if (lane >= lanes) end += other;
    }
    const uint32_t behind = ballot(kAllLanes, before + end > tile);
    if (behind != 0) {
      const int found = trailing_zeros(behind);
      const int begin_tile = before + shuffle(kAllLanes, end - own, found);
      const int begin = offsets[first + found] + (tile - begin_tile) * tile_m;
      return {begin, offsets[first + found + 1], first + found};
    }
    before += shuffle(kAllLanes, end, kWarp - 1);
  }
  return {0, 0, 0};
}

TROUPE_DEVICE void write(const Gemm& args, const RowTile& rows, int64_t part, int m, int64_t n,
                         float value) {
  if (m >= rows.end || n >= args.w.rows) return;
  const int64_t to = part * args.y_part + m * args.ldy + n;
  if (args.y_stored.address != 0) {
    bf16_at(args.y_stored)[to] = to_bf16(value);
  } else {
    float* y = at(args.y) + to;
    *y = args.accumulates ? *y + value : value;
  }
}

}  // namespace

template <int kDown, int kFragments, bool kIsGrouped>
TROUPE_KERNEL(kThreads)
product_kernel(GroupedGemm grouped, bool x_is_aligned) {
  using T = Tile<kDown, kFragments>;
  const Gemm& args = grouped.gemm;
  TROUPE_DYNAMIC_SHARED(shared);
  uint16_t* tiles = reinterpret_cast<uint16_t*>(shared);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t n0 = static_cast<int64_t>(block_index().x) * T::kN;
  const int tile = static_cast<int>(block_index().y);
  RowTile rows{tile * T::kM, static_cast<int>(args.M), 0};
  if (kIsGrouped) rows = tile_in_groups(grouped, tile, T::kM);
  const int64_t part = block_index().z;
  // A tile without rows has nothing to do. All threads of the block agree on that.
  const int steps =
      rows.begin < rows.end ? static_cast<int>((args.w.cols + kStepK - 1) / kStepK) : 0;
  const uint16_t* x_base = bf16_at(args.x);
  const uint16_t* w_base = reinterpret_cast<const uint16_t*>(args.w.address);
  const uint16_t* x = x_base + part * args.x_part;
  const uint16_t* w = w_base + (part * args.w_part_bytes + rows.group * grouped.w_stride_bytes) / 2;

  Copy copies[T::kCopies];
  TROUPE_UNROLL
  for (int i = 0; i < T::kCopies; ++i) {
    const int index = thread_index() + i * kThreads;
    copies[i] = index < (T::kM + T::kN) * kChunks ? chunk_of(args, rows, x, w, index, n0, T::kM)
                                                  : Copy{nullptr, 0, 0};
  }
  const auto start_copies = [&](int step) {
    if (step < steps) {
      uint16_t* stage = tiles + step % kStages * T::kStageElements;
      TROUPE_UNROLL
      for (int i = 0; i < T::kCopies; ++i) {
        if (copies[i].from == nullptr) continue;
        const bool is_of_x =
            i * kThreads < T::kM * kChunks && thread_index() + i * kThreads < T::kM * kChunks;
        copy_chunk(stage + copies[i].to, copies[i].from + step * kStepK,
                   copies[i].size - step * kStepK, is_of_x ? x_base : w_base,
                   x_is_aligned || !is_of_x);
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
        write(args, rows, part, rows.begin + warp_m + i * 16 + lane / 4 + e / 2 * 8,
              n0 + warp_n + j * 8 + lane % 4 * 2 + e % 2, sums[i][j][e]);
      }
    }
  }
}

namespace {

unsigned tiles(int64_t size, int64_t tile) {
  return static_cast<unsigned>((size + tile - 1) / tile);
}

bool is_aligned(const Gemm& args) {
  return args.x.address % 16 == 0 && args.ldx % kChunk == 0 && args.x_part % kChunk == 0;
}

template <int kDown, int kFragments>
void launch_tiles(StreamHandle stream, const Gemm& args) {
  using T = Tile<kDown, kFragments>;
  const Extent grid(tiles(args.w.rows, T::kN), tiles(args.M, T::kM),
                    static_cast<unsigned>(args.num_parts));
  GroupedGemm one;
  one.gemm = args;
  launch(product_kernel<kDown, kFragments, false>, grid, kThreads, T::kSharedBytes, stream, one,
         is_aligned(args));
}

// How many rows a group has is known on the device alone: there are blocks for the case that each
// begins a tile.
template <int kDown, int kFragments>
void launch_grouped_tiles(StreamHandle stream, const GroupedGemm& args) {
  using T = Tile<kDown, kFragments>;
  const int64_t row_tiles = args.gemm.M / T::kM + args.num_groups;
  TROUPE_CHECK(row_tiles <= 65535);  // The bound of a grid.
  const Extent grid(tiles(args.gemm.w.rows, T::kN), static_cast<unsigned>(row_tiles));
  launch(product_kernel<kDown, kFragments, true>, grid, kThreads, T::kSharedBytes, stream, args,
         is_aligned(args.gemm));
}

void check(const Gemm& args) {
  TROUPE_CHECK(args.x.element_bytes == 2);
  TROUPE_CHECK((args.y.address != 0) != (args.y_stored.address != 0));
  TROUPE_CHECK(!args.accumulates || args.y.address != 0);
  TROUPE_CHECK(args.w.address % 16 == 0 && args.w_part_bytes % 16 == 0);
  TROUPE_CHECK(args.w.cols > 0 && args.w.cols <= INT32_MAX / 2);
}

}  // namespace

void gemm(StreamHandle stream, const Gemm& args) {
  check(args);
  TROUPE_CHECK(args.M <= 65535 * 16 && args.num_parts <= 65535);  // Bounds of a grid.
  if (args.M == 0 || args.w.rows == 0 || args.num_parts == 0) return;
  if (args.M <= 16) {
    launch_tiles<1, 1>(stream, args);  // Decoding: 16 x 128.
  } else {
    launch_tiles<2, 2>(stream, args);  // 64 x 64.
  }
}

void grouped_gemm(StreamHandle stream, const GroupedGemm& args) {
  check(args.gemm);
  TROUPE_CHECK(args.gemm.num_parts == 1 && args.w_stride_bytes % 16 == 0);
  TROUPE_CHECK(args.num_groups <= INT32_MAX - kWarp);
  if (args.gemm.M == 0 || args.gemm.w.rows == 0 || args.num_groups == 0) return;
  if (args.gemm.M <= 16 * args.num_groups) {
    launch_grouped_tiles<1, 1>(stream, args);
  } else {
    launch_grouped_tiles<2, 2>(stream, args);
  }
}

}  // namespace troupe::kernels::cuda

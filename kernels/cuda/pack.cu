// Weights as products want them, on CUDA: rows of padded(cols) bf16, rounded from floats, with
// zeros behind cols; whole panels of rows, zeros behind the last. A block has a tile of 32 x 32.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kTile = kWarp, kWarps = 8, kThreads = kWarps * kWarp;
constexpr int kTileLd = kTile + 1;  // So that a column of a tile falls on all banks.
static_assert(kPadK % kTile == 0);

}  // namespace

TROUPE_KERNEL(kThreads) pack_kernel(Pack args) {
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t rows = args.to.rows, cols = args.to.cols;
  const int64_t width = static_cast<int64_t>(grid_extent().x) * kTile;
  const int64_t col = static_cast<int64_t>(block_index().x) * kTile + lane;
  const int64_t row0 = static_cast<int64_t>(block_index().y) * kTile;
  const int64_t rows_written = (rows + kPanelN - 1) / kPanelN * kPanelN;
  uint16_t* to = reinterpret_cast<uint16_t*>(args.to.address);
  for (int i = warp; i < kTile && row0 + i < rows_written; i += kWarps) {
    const int64_t row = row0 + i;
    const bool is_inside = row < rows && col < cols;
    to[row * width + col] = is_inside ? to_bf16(at(args.from)[row * args.ld + col]) : 0;
  }
}

// Read along the source's rows, which are columns here, and written along the weight's.
TROUPE_KERNEL(kThreads) pack_transposed_kernel(Pack args) {
  TROUPE_SHARED(float, tile, kTile* kTileLd);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t rows = args.to.rows, cols = args.to.cols;
  const int64_t width = static_cast<int64_t>(grid_extent().x) * kTile;
  const int64_t col0 = static_cast<int64_t>(block_index().x) * kTile;
  const int64_t row0 = static_cast<int64_t>(block_index().y) * kTile;
  const int64_t rows_written = (rows + kPanelN - 1) / kPanelN * kPanelN;
  uint16_t* to = reinterpret_cast<uint16_t*>(args.to.address);
  for (int i = warp; i < kTile; i += kWarps) {
    const bool is_inside = row0 + lane < rows && col0 + i < cols;
    tile[i * kTileLd + lane] = is_inside ? at(args.from)[(col0 + i) * args.ld + row0 + lane] : 0;
  }
  sync_block();
  for (int i = warp; i < kTile && row0 + i < rows_written; i += kWarps) {
    to[(row0 + i) * width + col0 + lane] = to_bf16(tile[lane * kTileLd + i]);
  }
}

int64_t packed_bytes(int64_t rows, int64_t cols) {
  return padded(rows, kPanelN) * padded(cols) * 2;
}

void pack(StreamHandle stream, const Pack& args) {
  const Packed& to = args.to;
  if (to.rows == 0 || to.cols == 0) return;
  TROUPE_CHECK(to.address % 16 == 0);
  const int64_t across = padded(to.cols) / kTile, down = (to.rows + kTile - 1) / kTile;
  TROUPE_CHECK(across <= INT32_MAX && down <= 65535);  // The bounds of a grid.
  const Extent grid(static_cast<unsigned>(across), static_cast<unsigned>(down));
  launch(args.is_transposed ? pack_transposed_kernel : pack_kernel, grid, kThreads, 0, stream,
         args);
}

}  // namespace troupe::kernels::cuda

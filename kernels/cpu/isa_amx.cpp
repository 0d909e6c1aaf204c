// AVX-512 with the products on AMX tiles.
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/workspace.h"
#include "kernels/elementary.h"

#define TROUPE_LANES "kernels/cpu/lanes_avx512.inl"
#define TROUPE_AMX
#define TROUPE_TILE_ZERO(tile) _tile_zero(tile)
#define TROUPE_TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, stride)
#define TROUPE_TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
// GCC 12 does not know that loading a tile reads memory: what was written must be there before.
#define TROUPE_TILE_FENCE() asm volatile("" ::: "memory")
#define TROUPE_TILE_DOT(c, a, b) _tile_dpbf16ps(c, a, b)

namespace troupe::kernels::cpu {
namespace {

// All eight tiles are 16 rows of 64 bytes. Constant data, because GCC 12 believes that loading a
// configuration reads its first eight bytes only and may drop what is stored behind them.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64);
constexpr TileConfiguration kTileConfiguration;

// The configuration belongs to the thread and a context switch keeps it, so it is loaded once.
inline void configure_tiles() {
  static thread_local bool is_configured = false;
  if (is_configured) return;
  _tile_loadconfig(&kTileConfiguration);
  is_configured = true;
}

#include "kernels/cpu/isa.inl"

}  // namespace

Backend amx_operations() { return operations("amx"); }

}  // namespace troupe::kernels::cpu

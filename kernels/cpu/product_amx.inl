// The product on AMX tiles. One TDPBF16PS over a block of 32 does what the chains of product.inl
// define: an even and an odd chain from zero, then c += even + odd, flushing subnormals.
//
// A strip of 32 rows of the left operand is turned into bf16 tiles once, then met by every pair of
// panels, two by two: four accumulators (tiles 0-3), two left tiles (4, 5), two right tiles (6, 7).

constexpr int64_t kStripRows = 32;

// to: tiles [block][half of 16 rows][16][32] of A; rows from M on are zero.
inline void strip_to_tiles(uint32_t* to, const float* a, int64_t sm, int64_t sk, int64_t M,
                           int64_t num_blocks) {
  alignas(64) uint16_t low[16], high[16];
  alignas(64) uint32_t words[16 * 16];
  for (int64_t block = 0; block < num_blocks; ++block) {
    for (int64_t half = 0; half < 2; ++half, to += 256) {
      const int64_t rows = M - half * 16 < 16 ? M - half * 16 : 16;
      if (rows <= 0) {
        std::memset(to, 0, 1024);
      } else if (sk == 1) {
        for (int64_t r = 0; r < 16; ++r) {
          auto* row = reinterpret_cast<uint16_t*>(to + r * 16);
          const float* from = a + (half * 16 + r) * sm + block * kPadK;
          store_exact_bf16(row, r < rows ? load(from) : splat(0.0f));
          store_exact_bf16(row + 16, r < rows ? load(from + 16) : splat(0.0f));
        }
      } else {
        for (int64_t pair = 0; pair < 16; ++pair) {
          const float* from = a + half * 16 * sm + (block * kPadK + 2 * pair) * sk;
          store_exact_bf16(low, load_n(from, rows));
          store_exact_bf16(high, load_n(from + sk, rows));
          interleave_halves(words + pair * 16, low, high);
        }
        transpose_words(to, words, 16);
      }
    }
  }
}

template <class Emit>
inline void multiply(Bf16, Workspace workspace, const float* a, int64_t sm, int64_t sk, int64_t M,
                     const uint32_t* panels, int64_t N, int64_t K, int64_t panel_blocks,
                     Emit&& emit) {
  TROUPE_CHECK(sk == 1 || sm == 1);
  configure_tiles();
  const int64_t num_blocks = (K + kPadK - 1) / kPadK;
  const int64_t panel_words = panel_blocks * 256;
  uint32_t* strip = workspace.take<uint32_t>(num_blocks * 512);
  alignas(64) float out[32 * 32];
  for (int64_t m0 = 0; m0 < M; m0 += kStripRows) {
    const int64_t rows = M - m0 < kStripRows ? M - m0 : kStripRows;
    strip_to_tiles(strip, a + m0 * sm, sm, sk, rows, num_blocks);
    TROUPE_TILE_FENCE();
    for (int64_t n0 = 0; n0 < N; n0 += 32) {
      const uint32_t* left = panels + n0 / 16 * panel_words;
      const bool has_right = n0 + 16 < N, has_lower = rows > 16;
      const uint32_t* right = has_right ? left + panel_words : left;
      TROUPE_TILE_ZERO(0);
      TROUPE_TILE_ZERO(1);
      TROUPE_TILE_ZERO(2);
      TROUPE_TILE_ZERO(3);
      for (int64_t block = 0; block < num_blocks; ++block) {
        TROUPE_TILE_LOAD(4, strip + block * 512, 64);
        TROUPE_TILE_LOAD(6, left + block * 256, 64);
        TROUPE_TILE_DOT(0, 4, 6);
        if (has_right) {
          TROUPE_TILE_LOAD(7, right + block * 256, 64);
          TROUPE_TILE_DOT(1, 4, 7);
        }
        if (has_lower) {
          TROUPE_TILE_LOAD(5, strip + block * 512 + 256, 64);
          TROUPE_TILE_DOT(2, 5, 6);
          if (has_right) TROUPE_TILE_DOT(3, 5, 7);
        }
      }
      TROUPE_TILE_STORE(0, out, 128);
      TROUPE_TILE_STORE(1, out + 16, 128);
      TROUPE_TILE_STORE(2, out + 16 * 32, 128);
      TROUPE_TILE_STORE(3, out + 16 * 32 + 16, 128);
      for (int64_t m = 0; m < rows; ++m) {
        for (int64_t n = n0; n < n0 + 32 && n < N; n += 16) {
          emit(m0 + m, n, out + m * 32 + (n - n0), N - n < 16 ? N - n : 16);
        }
      }
    }
  }
}

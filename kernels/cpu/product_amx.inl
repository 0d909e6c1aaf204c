// The product on AMX tiles. One TDPBF16PS over a block of 32 does what the chains of product.inl
// define: an even and an odd chain from zero, then c += even + odd, flushing subnormals.
//
// Some strips of 32 rows of the left operand are laid out as tiles once; then each pair of panels
// meets all of them, so that weights are read from memory once: four accumulators (tiles 0-3), two
// left tiles (4, 5), two right tiles (6, 7). Up to 16 rows meet four panels at a time instead.

constexpr int64_t kStripRows = 32;
// Left tiles at a time: what leaves the second cache room for the panels.
constexpr int64_t kLeftBytes = 512 << 10;

// to: tiles [block][half of 16 rows][16][32] of rows [m0, m0 + M) with zeros around what is there;
// without the second half where M <= 16.
template <class Row>
inline void left_tiles(uint32_t* to, const LeftRows<Row>& left, int64_t m0, int64_t M, int64_t K) {
  const int64_t num_blocks = blocks_of(K), whole = K / kPadK;
  const int64_t rows = M <= 16 ? 16 : kStripRows;
  for (int64_t r = 0; r < rows; ++r) {
    uint32_t* at = to + r * 16;
    if (r >= M) {
      for (int64_t block = 0; block < num_blocks; ++block) std::memset(at + block * 512, 0, 64);
      continue;
    }
    const uint16_t* from = left.row(m0 + r);
    for (int64_t block = 0; block < whole; ++block) {
      std::memcpy(at + block * 512, from + block * kPadK, 64);
    }
    if (whole < num_blocks) {
      std::memset(at + whole * 512, 0, 64);
      std::memcpy(at + whole * 512, from + whole * kPadK,
                  static_cast<size_t>(K - whole * kPadK) * sizeof(uint16_t));
    }
  }
}
template <class Column>
inline void left_tiles(uint32_t* to, const LeftColumns<Column>& left, int64_t m0, int64_t M,
                       int64_t K) {
  alignas(64) uint32_t words[16 * 16];
  alignas(64) uint16_t low_tail[16], high_tail[16];
  for (int64_t block = 0; block < blocks_of(K); ++block) {
    for (int64_t half = 0; half * 16 < M; ++half) {
      const int64_t rows = M - half * 16 < 16 ? M - half * 16 : 16;
      for (int64_t pair = 0; pair < 16; ++pair) {
        const int64_t k = block * kPadK + 2 * pair;
        const uint16_t* low = k < K ? left.column(k) + m0 + half * 16 : nullptr;
        const uint16_t* high = k + 1 < K ? left.column(k + 1) + m0 + half * 16 : nullptr;
        if (rows < 16 || high == nullptr) {
          for (int64_t i = 0; i < 16; ++i) {
            low_tail[i] = i < rows && low != nullptr ? low[i] : 0;
            high_tail[i] = i < rows && high != nullptr ? high[i] : 0;
          }
          low = low_tail;
          high = high_tail;
        }
        if (half == 0 && k + 1 < K) {  // The next strip's lines.
          __builtin_prefetch(low + kStripRows, 0, 2);
          __builtin_prefetch(high + kStripRows, 0, 2);
        }
        interleave_halves(words + pair * 16, low, high);
      }
      transpose_words(to + block * 512 + half * 256, words, 16);
    }
  }
}

// Where a whole tile at (m, n) may be stored at once, or none.
struct TilePlace {
  float* at = nullptr;
  int64_t ld = 0;
};
template <class Emit>
inline TilePlace tile_place(const Emit&, int64_t, int64_t) {
  return {};
}
inline TilePlace tile_place(const IntoFloats& into, int64_t m, int64_t n) {
  return {into.y + m * into.ld + n, into.ld};
}

// Asks for the lines that the next strip will write: a store that misses waits for its line, and
// few can wait at a time.
template <class Emit>
inline void prefetch_output(const Emit&, int64_t, int64_t, int64_t, int64_t) {}
inline void prefetch_rows(const float* y, int64_t ld, int64_t m, int64_t rows, int64_t n,
                          int64_t N) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* at = y + (m + r) * ld + n;
    __builtin_prefetch(at, 1, 2);
    if (n + 16 < N) __builtin_prefetch(at + 16, 1, 2);
  }
}
inline void prefetch_output(const IntoFloats& to, int64_t m, int64_t rows, int64_t n, int64_t N) {
  prefetch_rows(to.y, to.ld, m, rows, n, N);
}
inline void prefetch_output(const AddToFloats& to, int64_t m, int64_t rows, int64_t n, int64_t N) {
  prefetch_rows(to.y, to.ld, m, rows, n, N);
}

inline void prefetch_output(const IntoStored<Bf16>& to, int64_t m, int64_t rows, int64_t n,
                            int64_t) {
  for (int64_t r = 0; r < rows; ++r) __builtin_prefetch(to.y + (m + r) * to.ld + n, 1, 2);
}

// One accumulator's way out: straight to its place, or by way of `buffer`.
template <class Emit>
class TileOut {
 public:
  TileOut(const Emit& emit, float* buffer, int64_t m, int64_t n, int64_t rows, int64_t count)
      : emit_(emit), buffer_(buffer), m_(m), n_(n), rows_(rows), count_(count) {
    if (rows == 16 && count == 16) place_ = tile_place(emit, m, n);
    is_placed_ = place_.at != nullptr;
    if (!is_placed_) place_ = {buffer, 16};
  }
  float* at() const { return place_.at; }
  int64_t stride() const { return place_.ld * static_cast<int64_t>(sizeof(float)); }
  void finish() const {
    if (is_placed_) return;
    for (int64_t r = 0; r < rows_; ++r) emit_(m_ + r, n_, buffer_ + r * 16, count_);
  }

 private:
  const Emit& emit_;
  float* buffer_;
  int64_t m_, n_, rows_, count_;
  TilePlace place_{};
  bool is_placed_ = false;
};

// rows in (16, 32] of one strip against one or two panels. For each block `lines` lines from
// `ahead` on are asked for: the panels that come next, which tile loads would wait for.
template <class Emit>
inline void strip_product(const uint32_t* strip, int64_t m, int64_t rows, const uint32_t* left,
                          int64_t panel_words, int64_t n, int64_t N, int64_t num_blocks,
                          const uint32_t* ahead, int64_t lines, float* buffer, const Emit& emit) {
  const int64_t columns = N - n;
  const int64_t lower = rows - 16;
  const int64_t count = columns < 16 ? columns : 16;
  TROUPE_TILE_ZERO(0);
  TROUPE_TILE_ZERO(2);
  if (columns <= 16) {
    for (int64_t block = 0; block < num_blocks; ++block) {
      TROUPE_TILE_LOAD(4, strip + block * 512, 64);
      TROUPE_TILE_LOAD(6, left + block * 256, 64);
      TROUPE_TILE_DOT(0, 4, 6);
      TROUPE_TILE_LOAD(5, strip + block * 512 + 256, 64);
      TROUPE_TILE_DOT(2, 5, 6);
    }
  } else {
    const uint32_t* right = left + panel_words;
    TROUPE_TILE_ZERO(1);
    TROUPE_TILE_ZERO(3);
    for (int64_t block = 0; block < num_blocks; ++block) {
      for (int64_t line = 0; line < lines; ++line, ahead += 16) __builtin_prefetch(ahead, 0, 2);
      TROUPE_TILE_LOAD(4, strip + block * 512, 64);
      TROUPE_TILE_LOAD(6, left + block * 256, 64);
      TROUPE_TILE_DOT(0, 4, 6);
      TROUPE_TILE_LOAD(7, right + block * 256, 64);
      TROUPE_TILE_DOT(1, 4, 7);
      TROUPE_TILE_LOAD(5, strip + block * 512 + 256, 64);
      TROUPE_TILE_DOT(2, 5, 6);
      TROUPE_TILE_DOT(3, 5, 7);
    }
    const int64_t rest = columns - 16 < 16 ? columns - 16 : 16;
    const TileOut upper_out(emit, buffer + 256, m, n + 16, 16, rest);
    const TileOut lower_out(emit, buffer + 768, m + 16, n + 16, lower, rest);
    TROUPE_TILE_STORE(1, upper_out.at(), upper_out.stride());
    TROUPE_TILE_STORE(3, lower_out.at(), lower_out.stride());
    upper_out.finish();
    lower_out.finish();
  }
  const TileOut upper_out(emit, buffer, m, n, 16, count);
  const TileOut lower_out(emit, buffer + 512, m + 16, n, lower, count);
  TROUPE_TILE_STORE(0, upper_out.at(), upper_out.stride());
  TROUPE_TILE_STORE(2, lower_out.at(), lower_out.stride());
  upper_out.finish();
  lower_out.finish();
}

// Up to 16 rows against up to four panels.
template <class Emit>
inline void row_product(const uint32_t* strip, int64_t m, int64_t rows, const uint32_t* panel,
                        int64_t panel_words, int64_t n, int64_t N, int64_t num_blocks,
                        float* buffer, const Emit& emit) {
  const int64_t columns = N - n;
  const auto out_of = [&](int64_t i) {
    const int64_t count = columns - i * 16 < 16 ? columns - i * 16 : 16;
    return TileOut(emit, buffer + i * 256, m, n + i * 16, rows, count);
  };
  TROUPE_TILE_ZERO(0);
  if (columns <= 48) {
    for (int64_t block = 0; block < num_blocks; ++block) {
      TROUPE_TILE_LOAD(4, strip + block * 512, 64);
      TROUPE_TILE_LOAD(5, panel + block * 256, 64);
      TROUPE_TILE_DOT(0, 4, 5);
    }
  } else {
    TROUPE_TILE_ZERO(1);
    TROUPE_TILE_ZERO(2);
    TROUPE_TILE_ZERO(3);
    for (int64_t block = 0; block < num_blocks; ++block) {
      const uint32_t* right = panel + block * 256;
      TROUPE_TILE_LOAD(4, strip + block * 512, 64);
      TROUPE_TILE_LOAD(5, right, 64);
      TROUPE_TILE_DOT(0, 4, 5);
      TROUPE_TILE_LOAD(6, right + panel_words, 64);
      TROUPE_TILE_DOT(1, 4, 6);
      TROUPE_TILE_LOAD(7, right + 2 * panel_words, 64);
      TROUPE_TILE_DOT(2, 4, 7);
      TROUPE_TILE_LOAD(5, right + 3 * panel_words, 64);
      TROUPE_TILE_DOT(3, 4, 5);
    }
    const TileOut second = out_of(1), third = out_of(2), fourth = out_of(3);
    TROUPE_TILE_STORE(1, second.at(), second.stride());
    TROUPE_TILE_STORE(2, third.at(), third.stride());
    TROUPE_TILE_STORE(3, fourth.at(), fourth.stride());
    second.finish();
    third.finish();
    fourth.finish();
  }
  const TileOut first = out_of(0);
  TROUPE_TILE_STORE(0, first.at(), first.stride());
  first.finish();
}

template <class Left, class Emit>
inline void multiply(Bf16, Workspace workspace, const Left& left, int64_t M, const uint32_t* panels,
                     int64_t N, int64_t K, int64_t panel_blocks, const Emit& emit) {
  configure_tiles();
  const int64_t num_blocks = blocks_of(K), strip_words = num_blocks * 512;
  const int64_t panel_words = panel_blocks * 256;
  const int64_t strips_at_once = kLeftBytes / (strip_words * 4);
  const int64_t rows_at_once = kStripRows * (strips_at_once < 1 ? 1 : strips_at_once);
  const int64_t strips = ((M < rows_at_once ? M : rows_at_once) + kStripRows - 1) / kStripRows;
  uint32_t* tiles = workspace.take<uint32_t>(strips * strip_words);
  alignas(64) float buffer[4 * 256];
  for (int64_t m0 = 0; m0 < M; m0 += rows_at_once) {
    const int64_t rows = M - m0 < rows_at_once ? M - m0 : rows_at_once;
    for (int64_t m = 0; m < rows; m += kStripRows) {
      left_tiles(tiles + m / kStripRows * strip_words, left, m0 + m,
                 rows - m < kStripRows ? rows - m : kStripRows, K);
    }
    TROUPE_TILE_FENCE();
    const int64_t whole = rows % kStripRows > 16 ? rows : rows / kStripRows * kStripRows;
    // Each strip asks for its part of the next two panels.
    const int64_t num_strips = (whole + kStripRows - 1) / kStripRows;
    const int64_t lines = num_strips > 0 ? (32 + num_strips - 1) / num_strips : 0;
    for (int64_t n = 0; whole > 0 && n < N; n += 32) {
      const uint32_t* left_panel = panels + n / 16 * panel_words;
      for (int64_t i = 0; i < num_strips; ++i) {
        const int64_t m = i * kStripRows;
        const auto rows_from = [&](int64_t at) {
          return whole - at < kStripRows ? whole - at : kStripRows;
        };
        if (i + 1 < num_strips) {
          prefetch_output(emit, m0 + m + kStripRows, rows_from(m + kStripRows), n, N);
        } else if (n + 32 < N) {
          prefetch_output(emit, m0, rows_from(0), n + 32, N);
        }
        strip_product(tiles + i * strip_words, m0 + m, rows_from(m), left_panel, panel_words, n, N,
                      num_blocks, left_panel + 2 * panel_words + i * num_blocks * lines * 16, lines,
                      buffer, emit);
      }
    }
    // What is left are at most 16 rows.
    for (int64_t n = 0; whole < rows && n<N; n += N - n> 48 ? 64 : 16) {
      row_product(tiles + whole / kStripRows * strip_words, m0 + whole, rows - whole,
                  panels + n / 16 * panel_words, panel_words, n, N, num_blocks, buffer, emit);
    }
  }
}

// The product on AMX tiles. One TDPBF16PS over a block of 32 does what the chains of product.inl
// define: an even and an odd chain from zero, then c += even + odd, flushing subnormals.
//
// Some strips of 32 rows of the left operand are laid out as tiles once; then each pair of panels
// meets all of them, so that weights are read from memory once: four accumulators (tiles 0-3), two
// left tiles (4, 5), two right tiles (6, 7). Up to 16 rows meet four panels at a time instead.

//
// A long inner axis is cut: sums wait in memory while the next part's tiles are laid out, which
// changes no bit of them. Otherwise few rows would fill the cache, and every few rows would read
// all weights again.

constexpr int64_t kStripRows = 32;
// Left tiles at a time: what leaves the second cache room for the panels.
constexpr int64_t kLeftBytes = 512 << 10;
constexpr int64_t kCutBlocks = 32;    // Of the inner axis at a time, where it is longer than two.
constexpr int64_t kCutColumns = 512;  // Outputs whose sums wait at a time.

// to: tiles [block][half of 16 rows][16][32] of rows [m0, m0 + M) with zeros around what is there;
// without the second half where M <= 16. Of the inner axis it is [k0, k0 + K).
template <class Row>
inline void left_tiles(uint32_t* to, const LeftRows<Row>& left, int64_t m0, int64_t M, int64_t k0,
                       int64_t K) {
  const int64_t num_blocks = blocks_of(K), whole = K / kPadK;
  const int64_t rows = M <= 16 ? 16 : kStripRows;
  for (int64_t r = 0; r < rows; ++r) {
    uint32_t* at = to + r * 16;
    if (r >= M) {
      for (int64_t block = 0; block < num_blocks; ++block) std::memset(at + block * 512, 0, 64);
      continue;
    }
    const uint16_t* from = left.row(m0 + r) + k0;
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
                       int64_t k0, int64_t K) {
  alignas(64) uint32_t words[16 * 16];
  alignas(64) uint16_t low_tail[16], high_tail[16];
  for (int64_t block = 0; block < blocks_of(K); ++block) {
    for (int64_t half = 0; half * 16 < M; ++half) {
      const int64_t rows = M - half * 16 < 16 ? M - half * 16 : 16;
      for (int64_t pair = 0; pair < 16; ++pair) {
        const int64_t k = block * kPadK + 2 * pair;
        const uint16_t* low = k < K ? left.column(k0 + k) + m0 + half * 16 : nullptr;
        const uint16_t* high = k + 1 < K ? left.column(k0 + k + 1) + m0 + half * 16 : nullptr;
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
inline TilePlace tile_place(const IntoScratch& into, int64_t m, int64_t n) {
  return {into.y + m * into.ld + n, into.ld};
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

// Sums of a strip and a pair of panels (or of up to 16 rows and four), which wait between two parts
// of the inner axis: where they lie, and whether they begin and end with this part.
struct Waiting {
  float* sums = nullptr;
  bool is_first = true;
  bool is_last = true;

  float* at(int64_t row, int64_t column) const { return sums + row * kCutColumns + column; }
};
constexpr int64_t kWaitingStride = kCutColumns * static_cast<int64_t>(sizeof(float));

#define TROUPE_TILE_BEGIN(tile, waiting, row, column)                  \
  if ((waiting).is_first) {                                            \
    TROUPE_TILE_ZERO(tile);                                            \
  } else {                                                             \
    TROUPE_TILE_LOAD(tile, (waiting).at(row, column), kWaitingStride); \
  }
#define TROUPE_TILE_WAIT(tile, waiting, row, column) \
  TROUPE_TILE_STORE(tile, (waiting).at(row, column), kWaitingStride)

// rows in (16, 32] of one strip against one or two panels. With each block `lines` lines from
// `ahead` on are asked for, the panels that come next, which tile loads would wait for; and a part
// of the outputs that come next.
template <class Emit>
inline void strip_product(const uint32_t* strip, int64_t m, int64_t rows, const uint32_t* left,
                          int64_t panel_words, int64_t n, int64_t N, int64_t num_blocks,
                          const uint32_t* ahead, int64_t lines, OutputRows outputs,
                          const Waiting& waiting, float* buffer, const Emit& emit) {
  const int64_t columns = N - n;
  const int64_t rows_of_block = (outputs.count + num_blocks - 1) / num_blocks;
  const int64_t lower = rows - 16;
  const int64_t count = columns < 16 ? columns : 16;
  TROUPE_TILE_BEGIN(0, waiting, 0, 0);
  TROUPE_TILE_BEGIN(2, waiting, 16, 0);
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
    TROUPE_TILE_BEGIN(1, waiting, 0, 16);
    TROUPE_TILE_BEGIN(3, waiting, 16, 16);
    for (int64_t block = 0; block < num_blocks; ++block) {
      for (int64_t line = 0; line < lines; ++line, ahead += 16) __builtin_prefetch(ahead, 0, 2);
      outputs.ask(rows_of_block);
      TROUPE_TILE_LOAD(4, strip + block * 512, 64);
      TROUPE_TILE_LOAD(6, left + block * 256, 64);
      TROUPE_TILE_DOT(0, 4, 6);
      TROUPE_TILE_LOAD(7, right + block * 256, 64);
      TROUPE_TILE_DOT(1, 4, 7);
      TROUPE_TILE_LOAD(5, strip + block * 512 + 256, 64);
      TROUPE_TILE_DOT(2, 5, 6);
      TROUPE_TILE_DOT(3, 5, 7);
    }
    if (!waiting.is_last) {
      TROUPE_TILE_WAIT(1, waiting, 0, 16);
      TROUPE_TILE_WAIT(3, waiting, 16, 16);
    } else {
      const int64_t rest = columns - 16 < 16 ? columns - 16 : 16;
      const TileOut upper_out(emit, buffer + 256, m, n + 16, 16, rest);
      const TileOut lower_out(emit, buffer + 768, m + 16, n + 16, lower, rest);
      TROUPE_TILE_STORE(1, upper_out.at(), upper_out.stride());
      TROUPE_TILE_STORE(3, lower_out.at(), lower_out.stride());
      upper_out.finish();
      lower_out.finish();
    }
  }
  if (!waiting.is_last) {
    TROUPE_TILE_WAIT(0, waiting, 0, 0);
    TROUPE_TILE_WAIT(2, waiting, 16, 0);
    return;
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
                        const Waiting& waiting, float* buffer, const Emit& emit) {
  const int64_t columns = N - n;
  const auto out_of = [&](int64_t i) {
    const int64_t count = columns - i * 16 < 16 ? columns - i * 16 : 16;
    return TileOut(emit, buffer + i * 256, m, n + i * 16, rows, count);
  };
  TROUPE_TILE_BEGIN(0, waiting, 0, 0);
  if (columns <= 48) {
    for (int64_t block = 0; block < num_blocks; ++block) {
      TROUPE_TILE_LOAD(4, strip + block * 512, 64);
      TROUPE_TILE_LOAD(5, panel + block * 256, 64);
      TROUPE_TILE_DOT(0, 4, 5);
    }
  } else {
    TROUPE_TILE_BEGIN(1, waiting, 0, 16);
    TROUPE_TILE_BEGIN(2, waiting, 0, 32);
    TROUPE_TILE_BEGIN(3, waiting, 0, 48);
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
    if (!waiting.is_last) {
      TROUPE_TILE_WAIT(1, waiting, 0, 16);
      TROUPE_TILE_WAIT(2, waiting, 0, 32);
      TROUPE_TILE_WAIT(3, waiting, 0, 48);
    } else {
      const TileOut second = out_of(1), third = out_of(2), fourth = out_of(3);
      TROUPE_TILE_STORE(1, second.at(), second.stride());
      TROUPE_TILE_STORE(2, third.at(), third.stride());
      TROUPE_TILE_STORE(3, fourth.at(), fourth.stride());
      second.finish();
      third.finish();
      fourth.finish();
    }
  }
  if (!waiting.is_last) {
    TROUPE_TILE_WAIT(0, waiting, 0, 0);
    return;
  }
  const TileOut first = out_of(0);
  TROUPE_TILE_STORE(0, first.at(), first.stride());
  first.finish();
}

// Rows [m0, m0 + rows), laid out in `tiles`, against outputs [n0, N), over one part of the inner
// axis: `panels` points to the part in the panel of n0.
template <class Emit>
inline void multiply_tiles(const uint32_t* tiles, int64_t m0, int64_t rows, const uint32_t* panels,
                           int64_t panel_words, int64_t n0, int64_t N, int64_t num_blocks,
                           Waiting waiting, const Emit& emit) {
  const int64_t strip_words = num_blocks * 512;
  alignas(64) float buffer[4 * 256];
  float* sums = waiting.sums;  // None where the whole axis is one part.
  const int64_t whole = rows % kStripRows > 16 ? rows : rows / kStripRows * kStripRows;
  // Each strip asks for its part of the next two panels.
  const int64_t num_strips = (whole + kStripRows - 1) / kStripRows;
  const int64_t lines = num_strips > 0 ? (32 + num_strips - 1) / num_strips : 0;
  const auto rows_from = [&](int64_t m) { return whole - m < kStripRows ? whole - m : kStripRows; };
  const auto strips_at = [&](int64_t n) {
    const uint32_t* left_panel = panels + (n - n0) / 16 * panel_words;
    for (int64_t i = 0; i < num_strips; ++i) {
      const int64_t m = i * kStripRows;
      OutputRows outputs;
      if (waiting.is_last && i + 1 < num_strips) {
        outputs = output_rows(emit, m0 + m + kStripRows, rows_from(m + kStripRows), n,
                              N - n < 32 ? N - n : 32);
      } else if (waiting.is_last && n + 32 < N) {
        outputs = output_rows(emit, m0, rows_from(0), n + 32, N - n < 64 ? N - n - 32 : 32);
      }
      const int64_t ahead = i * num_blocks * lines * 16, half = num_blocks * 256;
      if (sums != nullptr) waiting.sums = sums + m * kCutColumns + (n - n0);
      strip_product(
          tiles + i * strip_words, m0 + m, rows_from(m), left_panel, panel_words, n, N, num_blocks,
          left_panel + 2 * panel_words + (ahead < half ? ahead : panel_words + ahead - half), lines,
          outputs, waiting, buffer, emit);
    }
  };
  // At most 16 rows, which meet four panels while the strips' are in the cache.
  const auto rest_at = [&](int64_t n) {
    if (sums != nullptr) waiting.sums = sums + whole * kCutColumns + (n - n0);
    row_product(tiles + whole / kStripRows * strip_words, m0 + whole, rows - whole,
                panels + (n - n0) / 16 * panel_words, panel_words, n, N, num_blocks, waiting,
                buffer, emit);
  };
  for (int64_t group = n0; group < N; group += 64) {
    const int64_t end = group + 64 < N ? group + 64 : N;
    for (int64_t n = group; num_strips > 0 && n < end; n += 32) strips_at(n);
    for (int64_t n = group; whole < rows && n<end; n += end - n> 48 ? 64 : 16) rest_at(n);
  }
}

template <class Left, class Emit>
inline void multiply(Bf16, Workspace workspace, const Left& left, int64_t M, const uint32_t* panels,
                     int64_t N, int64_t K, int64_t panel_blocks, const Emit& emit) {
  configure_tiles();
  const int64_t num_blocks = blocks_of(K), panel_words = panel_blocks * 256;
  const bool is_cut = num_blocks > 2 * kCutBlocks;
  const int64_t part_blocks = is_cut ? kCutBlocks : num_blocks, strip_words = part_blocks * 512;
  const int64_t columns = is_cut ? kCutColumns : N;
  const int64_t strips_at_once = kLeftBytes / (strip_words * 4);
  const int64_t rows_at_once = kStripRows * (strips_at_once < 1 ? 1 : strips_at_once);
  const int64_t strips = ((M < rows_at_once ? M : rows_at_once) + kStripRows - 1) / kStripRows;
  uint32_t* tiles = workspace.take<uint32_t>(strips * strip_words);
  float* sums = is_cut ? workspace.take<float>(strips * kStripRows * kCutColumns) : nullptr;
  for (int64_t m0 = 0; m0 < M; m0 += rows_at_once) {
    const int64_t rows = M - m0 < rows_at_once ? M - m0 : rows_at_once;
    for (int64_t n0 = 0; n0 < N; n0 += columns) {
      for (int64_t block = 0; block < num_blocks; block += part_blocks) {
        const int64_t k0 = block * kPadK, blocks_left = num_blocks - block;
        const bool is_last = blocks_left <= part_blocks;
        const int64_t blocks = is_last ? blocks_left : part_blocks;
        for (int64_t m = 0; m < rows; m += kStripRows) {
          left_tiles(tiles + m / kStripRows * blocks * 512, left, m0 + m,
                     rows - m < kStripRows ? rows - m : kStripRows, k0,
                     is_last ? K - k0 : blocks * kPadK);
        }
        TROUPE_TILE_FENCE();
        multiply_tiles(tiles, m0, rows, panels + n0 / 16 * panel_words + block * 256, panel_words,
                       n0, N - n0 < columns ? N : n0 + columns, blocks,
                       Waiting{sums, block == 0, is_last}, emit);
        TROUPE_TILE_FENCE();
      }
    }
  }
}

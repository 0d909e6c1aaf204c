// The product on vectors: the even and the odd chain of each output lie in registers.
//
// Some rows of the left operand are laid out once as links take them; then each few panels meet all
// of these rows, a few rows at a time, so that weights are read from memory once. A tile runs the
// even chains of a block, puts them aside, and runs the odd ones: so twice as many outputs fit the
// registers as with both at a time, and a weight and an element serve more multiply-adds each. A
// tile is a function of its own, because inside a caller its registers would go to the caller's
// variables too, and chains would wait for memory with each link.

#if defined(TROUPE_DOT)
#include "kernels/cpu/links_dot.inl"
#else
#include "kernels/cpu/links_fma.inl"
#endif

constexpr int64_t kRowBlock = 96;  // Rows of the left operand that are laid out at a time.
// Of the inner axis at a time, at most, and outputs whose sums wait for the next part: what leaves
// room in a second cache of 1 MiB.
constexpr int64_t kPartBlocks = 48;
constexpr int64_t kPartColumns = 1024;

struct ChainTile {
  float* c;            // Sums, row r at r * ldc, vectors of outputs side by side.
  int64_t ldc;         // In elements.
  const char* left;    // Lefts of row 0.
  int64_t row_bytes;   // From a row's Lefts to the next row's.
  int64_t step_bytes;  // From a Left to the next one of the same row.
  const uint32_t* panels;
  int64_t panel_words;  // From a panel to the next one.
  int64_t ahead;        // From a word to one that is wanted soon, and asked for meanwhile.
  int64_t num_blocks;   // Whole ones.
  int64_t links_left;   // Of each chain in the block behind them.
  bool is_first;        // Of the parts of the inner axis: sums begin at zero.
  bool is_added;        // The inner axis is one block, whose sums are added to `c`.
};

// No tile has more outputs.
constexpr int kTileFloats = 24 * 16;
constexpr int kVectorsOfPanel = 16 / Chain::kWidth;

// The links of one chain of each output in one block.
template <bool kIsOdd, int R, int V>
[[gnu::always_inline]] inline void run_links(Chain (&chain)[R][V], const char* left,
                                             const ChainTile& tile, const uint32_t* words,
                                             int64_t links) {
  const int64_t row = tile.row_bytes, step = tile.step_bytes * Links::kLeftStep;
  if constexpr (kIsOdd) {
    left += tile.step_bytes * Links::kOddLeft;
    words += Links::kOddWord * 16;
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) chain[r][v] = chain_zero();
  }
  // Every third row has a pointer: the two behind it are one and two rows from there, which an
  // address holds.
  constexpr int kPointers = (R + 2) / 3;
  const char* at[kPointers];
#pragma GCC unroll 4
  for (int i = 0; i < kPointers; ++i) at[i] = left + 3 * i * row;
  for (int64_t link = 0; link < links; ++link) {
    Chain weight[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const uint32_t* at_word = words + v / kVectorsOfPanel * tile.panel_words;
      weight[v] = chain_weight<kIsOdd>(at_word + v % kVectorsOfPanel * Chain::kWidth);
      if constexpr (!kIsOdd || Links::kOddWord > 0) {  // Otherwise the even links have asked.
        if (v % kVectorsOfPanel == 0) __builtin_prefetch(at_word + tile.ahead, 0, 2);
      }
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const auto x = reinterpret_cast<const Links::Left*>(at[r / 3] + r % 3 * row);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) chain[r][v] = chain_link(*x, weight[v], chain[r][v]);
    }
    words += 16;
#pragma GCC unroll 4
    for (int i = 0; i < kPointers; ++i) at[i] += step;
  }
}

// One tile of R rows and P panels.
template <int R, int P>
[[gnu::noinline]] void run_tile(const ChainTile& given) {
  static_assert(R * P * 16 <= kTileFloats);
  constexpr int V = P * kVectorsOfPanel, kWidth = Chain::kWidth;
  const ChainTile tile = given;
  const char* left = tile.left;
  const uint32_t* words = tile.panels;
  float* c = tile.c;
  alignas(64) float even[R * V * kWidth];
  const auto add_block = [&](int64_t links, bool is_first) __attribute__((always_inline)) {
    Chain chain[R][V];
    // Links that would only fill the block are left out: adding +0 to a chain gives what they
    // would, whose only effect is that a -0 becomes +0.
    const auto fill = [&]() __attribute__((always_inline)) {
      if (links == Links::kCount) return;
      for (int r = 0; r < R; ++r) {
        for (int v = 0; v < V; ++v) chain[r][v] = chain_add(chain[r][v], chain_zero());
      }
    };
    run_links<false>(chain, left, tile, words, links);
    fill();
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) chain_store(even + (r * V + v) * kWidth, chain[r][v]);
    }
    run_links<true>(chain, left, tile, words, links);
    fill();
    const auto sum = [&](auto&& result) __attribute__((always_inline)) {
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
          float* to = c + r * tile.ldc + v * kWidth;
          const Chain both = chain_add(chain_load(even + (r * V + v) * kWidth), chain[r][v]);
          chain_store(to, result(to, both));
        }
      }
    };
    if (tile.is_added) {
      sum([](const float* to, Chain both) {
        return chain_add(chain_load(to), chain_add(chain_zero(), both));
      });
    } else if (is_first) {
      sum([](const float*, Chain both) { return chain_add(chain_zero(), both); });
    } else {
      sum([](const float* to, Chain both) { return chain_add(chain_load(to), both); });
    }
  };
  for (int64_t block = 0; block <= tile.num_blocks; ++block) {
    const int64_t links = block < tile.num_blocks ? Links::kCount : tile.links_left;
    if (links == 0) break;
    add_block(links, tile.is_first && block == 0);
    left += tile.step_bytes * Links::kLeftOfBlock;
    words += 16 * 16;
  }
}

// The tile of a number of rows and panels that is known when running only: as many panels as fit
// the rows, or up to kFewPanels of them.
constexpr int kFewPanels = 4;
template <int R, int P>
inline void run_tile_of_panels(int64_t panels, const ChainTile& tile) {
  if constexpr (P > 0) {
    if (panels == P) return run_tile<R, P>(tile);
    run_tile_of_panels<R, P <= kFewPanels ? P - 1 : kFewPanels>(panels, tile);
  }
}
template <int R = Chain::kRows>
inline void run_tile_of(int64_t rows, int64_t panels, const ChainTile& tile) {
  if constexpr (R > 0) {
    if (rows == R) return run_tile_of_panels<R, Chain::panels(R)>(panels, tile);
    run_tile_of<R - 1>(rows, panels, tile);
  }
}

// Rows [m0, m0 + M) of a left operand as links take them: Left j of row m at
// a + m * row_stride + j * step. Of the inner axis it is [k0, k0 + K).
struct LaidOut {
  Links::Left* a;
  int64_t row_stride, step;
};
// A row more than its Lefts apart, so that rows of a power of two do not meet in one set of a
// cache.
constexpr int64_t left_stride(int64_t num_blocks) { return num_blocks * Links::kLeftOfBlock + 16; }
template <class Row>
inline LaidOut lay_out(const LeftRows<Row>& left, Links::Left* a, int64_t m0, int64_t M, int64_t k0,
                       int64_t K) {
  const int64_t stride = left_stride(blocks_of(K));
  for (int64_t m = 0; m < M; ++m) lefts_of_row(a + m * stride, left.row(m0 + m) + k0, K);
  return {a, stride, 1};
}
template <class Column>
inline LaidOut lay_out(const LeftColumns<Column>& left, Links::Left* a, int64_t m0, int64_t M,
                       int64_t k0, int64_t K) {
  const auto column = [&](int64_t k) { return k < K ? left.column(k0 + k) + m0 : nullptr; };
  for (int64_t block = 0; block < blocks_of(K); ++block) {
    for (int64_t j = 0; j < Links::kLeftOfBlock; ++j, a += kRowBlock) {
      lefts_of_column(a, M, block * kPadK, j, column);
    }
  }
  return {a - blocks_of(K) * Links::kLeftOfBlock * kRowBlock, 1, kRowBlock};
}

// Where sums lie, row by row.
struct Sums {
  float* at = nullptr;
  int64_t ld = 0;
};
// Outputs from (m, n) on, where they are sums that products are added to; few links are added there
// without a tile between.
template <class Emit>
inline Sums sums_of(const Emit&, int64_t, int64_t) {
  return {};
}
inline Sums sums_of(const AddToFloats& to, int64_t m, int64_t n) {
  if (to.overwrites) return {};
  return {to.y + m * to.ld + n, to.ld};
}

// Rows [m0, m0 + rows), laid out over one part of the inner axis, against outputs [n0, N) of which
// the sums lie at `sums`, row by row, or in a tile of their own where the part is the whole.
template <class Emit>
inline void multiply_part(const LaidOut& left, int64_t m0, int64_t rows, const uint32_t* panels,
                          int64_t panel_words, int64_t n0, int64_t N, int64_t K, float* sums,
                          bool is_first, bool is_last, const Emit& emit) {
  constexpr auto kBytes = static_cast<int64_t>(sizeof(Links::Left));
  alignas(64) float own[kTileFloats];
  // As many tiles as it takes, each of as many rows as the others or one more.
  const int64_t num_tiles = (rows + Chain::kRows - 1) / Chain::kRows;
  const int64_t most = (rows + num_tiles - 1) / num_tiles;
  int64_t tile_panels = Chain::panels(static_cast<int>(most));
  constexpr int64_t kElements = kPadK / Links::kCount;  // That a link of each chain takes.
  ChainTile tile{.c = own,
                 .ldc = 0,
                 .left = nullptr,
                 .row_bytes = left.row_stride * kBytes,
                 .step_bytes = left.step * kBytes,
                 .panels = panels,
                 .panel_words = panel_words,
                 .ahead = 0,
                 .num_blocks = K / kPadK,
                 .links_left = (K % kPadK + kElements - 1) / kElements,
                 .is_first = is_first,
                 .is_added = false};
  for (int64_t n = n0; n < N; n += tile_panels * 16) {
    const int64_t panels_left = (N - n + 15) / 16;
    if (panels_left < tile_panels)
      tile_panels = panels_left < kFewPanels ? panels_left : kFewPanels;
    tile.panels = panels + (n - n0) / 16 * panel_words;
    for (int64_t i = 0, m = 0; i < num_tiles; ++i) {
      const int64_t R = (rows - m + num_tiles - i - 1) / (num_tiles - i);
      tile.left = reinterpret_cast<const char*>(left.a + m * left.row_stride);
      // Panels come from far away when there are few rows: the next ones are asked for early.
      tile.ahead = i == 0 ? tile_panels * panel_words : 0;
      const int64_t width = N - n < tile_panels * 16 ? N - n : tile_panels * 16;
      const Sums outputs = sums_of(emit, m0 + m, n);
      tile.is_added =
          outputs.at != nullptr && is_first && is_last && K <= kPadK && width == tile_panels * 16;
      const Sums to = tile.is_added     ? outputs
                      : sums != nullptr ? Sums{sums + m * kPartColumns + (n - n0), kPartColumns}
                                        : Sums{own, tile_panels * 16};
      tile.c = to.at;
      tile.ldc = to.ld;
      if (is_last) output_rows(emit, m0 + m, R, n, width).ask(R);
      run_tile_of(R, tile_panels, tile);
      for (int64_t r = 0; is_last && !tile.is_added && r < R; ++r) {
        for (int64_t p = 0; p < tile_panels; ++p) {
          const int64_t at = n + p * 16;
          if (at < N)
            emit(m0 + m + r, at, tile.c + r * tile.ldc + p * 16, N - at < 16 ? N - at : 16);
        }
      }
      m += R;
    }
  }
}

template <class Left, class Emit>
inline void multiply(Bf16, Workspace workspace, const Left& left, int64_t M, const uint32_t* panels,
                     int64_t N, int64_t K, int64_t panel_blocks, const Emit& emit) {
  const int64_t num_blocks = blocks_of(K), panel_words = panel_blocks * 256;
  const int64_t num_parts = (num_blocks + kPartBlocks - 1) / kPartBlocks;
  const int64_t part_blocks = (num_blocks + num_parts - 1) / num_parts;
  const int64_t columns = num_parts > 1 ? kPartColumns : N;
  auto* a = workspace.take<Links::Left>(kRowBlock * left_stride(part_blocks));
  float* sums = num_parts > 1 ? workspace.take<float>(kRowBlock * kPartColumns) : nullptr;
  for (int64_t m0 = 0; m0 < M; m0 += kRowBlock) {
    const int64_t rows = M - m0 < kRowBlock ? M - m0 : kRowBlock;
    for (int64_t n0 = 0; n0 < N; n0 += columns) {
      for (int64_t block = 0; block < num_blocks; block += part_blocks) {
        const int64_t k0 = block * kPadK;
        const bool is_last = block + part_blocks >= num_blocks;
        const int64_t depth = is_last ? K - k0 : part_blocks * kPadK;
        multiply_part(lay_out(left, a, m0, rows, k0, depth), m0, rows,
                      panels + n0 / 16 * panel_words + block * 256, panel_words, n0,
                      N - n0 < columns ? N : n0 + columns, depth, sums, block == 0, is_last, emit);
      }
    }
  }
}

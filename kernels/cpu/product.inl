// Matrix products in the arithmetic `cpu-1`: per block of 32 along the inner axis an even and an
// odd chain of fused multiply-adds from zero, then c += even + odd. Every output is computed by the
// same chain whatever the shape, so its bits do not depend on the other rows.
//
// Left operands are read where they are stored, by rows or by columns (LeftRows, LeftColumns),
// right operands are panels of 16 outputs:
//   bf16   panel[pair][16]  32-bit words, the even element of the pair in the low half
//   float  panel[k][16]     floats
// both with the inner axis zero-padded to whole blocks.

constexpr int64_t kRowBlock = 96;  // Rows of the left operand that are expanded at a time.
constexpr int64_t kPairsOfBlock = kPadK / 2;

constexpr int64_t blocks_of(int64_t K) { return (K + kPadK - 1) / kPadK; }

// A left operand whose element (m, k) is row(m)[k], or column(k)[m].
template <class Row>
struct LeftRows {
  Row row;
};
template <class Column>
struct LeftColumns {
  Column column;
};
template <class Row>
LeftRows(Row) -> LeftRows<Row>;
template <class Column>
LeftColumns(Column) -> LeftColumns<Column>;

struct Bf16 {
  using Element = uint16_t;
  using Word = uint32_t;
  static constexpr int64_t kWordsPerK = 8;  // Words of a panel per unit of the inner axis: 16 / 2.
  static constexpr Precision kPrecision = Precision::kBf16;
};
struct Fp32 {
  using Element = float;
  using Word = float;
  static constexpr int64_t kWordsPerK = 16;
  static constexpr Precision kPrecision = Precision::kFp32;
};

inline F16 load_stored(const uint16_t* p) { return load_bf16(p); }
inline F16 load_stored(const float* p) { return load(p); }
inline F16 load_stored_n(const uint16_t* p, int64_t n) { return load_bf16_n(p, n); }
inline F16 load_stored_n(const float* p, int64_t n) { return load_n(p, n); }
inline void store_stored(uint16_t* p, F16 x) { store_bf16(p, x); }
inline void store_stored(float* p, F16 x) { store(p, x); }
inline void store_stored_n(uint16_t* p, F16 x, int64_t n) { store_bf16_n(p, x, n); }
inline void store_stored_n(float* p, F16 x, int64_t n) { store_n(p, x, n); }
inline float widen(uint16_t x) { return bits_to_float(static_cast<uint32_t>(x) << 16); }
inline float widen(float x) { return x; }
// What a float becomes when it is stored.
template <class S>
inline F16 rounded(F16 x) {
  if constexpr (S::kPrecision == Precision::kBf16) {
    return round_to_bf16(x);
  } else {
    return x;
  }
}
template <class S>
inline typename S::Element to_stored(float x) {
  if constexpr (S::kPrecision == Precision::kBf16) {
    const uint32_t u = float_to_bits(x);
    return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  } else {
    return x;
  }
}

// to[0, padded(n)) = from[0, n) as floats, then zeros.
template <class Element>
inline void expand_row(float* to, const Element* from, int64_t n) {
  const int64_t whole = n / 16 * 16;
  for (int64_t i = 0; i < whole; i += 16) store(to + i, load_stored(from + i));
  for (int64_t i = whole; i < padded(n); i += 16) {
    store(to + i, i < n ? load_stored_n(from + i, n - i) : splat(0.0f));
  }
}

// One register tile: R rows of A (element (r, k) at a[r * sm + k * sk]) times V vectors of outputs.
// The pairs that would only fill the last block are left out: adding +0 to a chain gives what they
// would, whose only effect is that a -0 becomes +0.
template <int R, int V>
[[gnu::always_inline]] inline void tile_bf16(float* tile, const float* a, int64_t sm, int64_t sk,
                                             const uint32_t* const* b, int64_t num_pairs) {
  for (int i = 0; i < R * V; ++i) chain_store(tile + i * Chain::kWidth, chain_zero());
  // Inlined twice, so that a whole block has a known length and the chains stay in registers.
  const auto add_block = [&](int64_t first, int64_t count, bool is_whole)
      __attribute__((always_inline)) {
    Chain even[R][V], odd[R][V];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) even[r][v] = odd[r][v] = chain_zero();
    }
    for (int64_t pair = first; pair < first + count; ++pair) {
      Chain w_even[V], w_odd[V];
      for (int v = 0; v < V; ++v) chain_pairs(b[v] + pair * 16, w_even[v], w_odd[v]);
      const float* at = a + 2 * pair * sk;
      for (int r = 0; r < R; ++r) {
        for (int v = 0; v < V; ++v) {
          even[r][v] = chain_fma(at[r * sm], w_even[v], even[r][v]);
          odd[r][v] = chain_fma(at[r * sm + sk], w_odd[v], odd[r][v]);
        }
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) {
        if (!is_whole) {
          even[r][v] = chain_add(even[r][v], chain_zero());
          odd[r][v] = chain_add(odd[r][v], chain_zero());
        }
        float* c = tile + (r * V + v) * Chain::kWidth;
        chain_store(c, chain_add(chain_load(c), chain_add(even[r][v], odd[r][v])));
      }
    }
  };
  int64_t first = 0;
  for (; first + kPairsOfBlock <= num_pairs; first += kPairsOfBlock) {
    add_block(first, kPairsOfBlock, true);
  }
  if (first < num_pairs) add_block(first, num_pairs - first, false);
}

// A number that is known when compiling.
template <int N>
struct Count {
  static constexpr int value = N;
};

// Calls emit(m, n, values, count) for each row m and run of `count` <= 16 outputs from n on.
template <int V, class Emit>
inline void rows_bf16(const float* a, int64_t sm, int64_t sk, int64_t M, const uint32_t* const* b,
                      int64_t num_pairs, int64_t n0, int64_t N, Emit&& emit) {
  constexpr int kRows = V > Chain::kVectors ? Chain::kFewRows : Chain::kRows;
  alignas(64) float tile[kRows * V * Chain::kWidth];
  for (int64_t m = 0; m < M; m += kRows) {
    const int R = static_cast<int>(M - m < kRows ? M - m : kRows);
    const float* at = a + m * sm;
    const auto run = [&](auto rows) {
      tile_bf16<decltype(rows)::value, V>(tile, at, sm, sk, b, num_pairs);
    };
    if constexpr (kRows >= 6) {
      if (R == 6) run(Count<6>{});
      if (R == 5) run(Count<5>{});
    }
    if constexpr (kRows >= 4) {
      if (R == 4) run(Count<4>{});
      if (R == 3) run(Count<3>{});
    }
    if constexpr (kRows >= 2) {
      if (R == 2) run(Count<2>{});
    }
    if (R == 1) run(Count<1>{});
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) {
        const int64_t n = n0 + v * Chain::kWidth;
        const int64_t count = N - n < Chain::kWidth ? N - n : Chain::kWidth;
        if (count > 0) emit(m + r, n, tile + (r * V + v) * Chain::kWidth, count);
      }
    }
  }
}

// What a product does with a run of `count` <= 16 outputs of row m from n on. Where whole tiles of
// 16 x 16 may be written without looking at them, tile_place() says where that is.
struct IntoFloats {
  float* y;
  int64_t ld;
  void operator()(int64_t m, int64_t n, const float* values, int64_t count) const {
    store_n(y + m * ld + n, load_n(values, count), count);
  }
};
struct AddToFloats {
  float* y;
  int64_t ld;
  void operator()(int64_t m, int64_t n, const float* values, int64_t count) const {
    float* to = y + m * ld + n;
    store_n(to, load_n(to, count) + load_n(values, count), count);
  }
};
// The same into memory that is in the second cache anyway.
struct IntoScratch : IntoFloats {
  IntoScratch of_row(int64_t row) const { return {{y + row * ld, ld}}; }
};
struct AddToScratch : AddToFloats {
  AddToScratch of_row(int64_t row) const { return {{y + row * ld, ld}}; }
};
template <class S>
struct IntoStored {
  typename S::Element* y;
  int64_t ld;
  void operator()(int64_t m, int64_t n, const float* values, int64_t count) const {
    store_stored_n(y + m * ld + n, load_n(values, count), count);
  }
};

// multiply(s, workspace, left, M, panels, N, K, panel_blocks, emit): all outputs of M rows of a
// left operand against the panels of a right one with N outputs, over the first K elements of the
// inner axis; the panels are zero from there to the end of the block, or meet a left operand that
// is. `panel_blocks` is how many blocks the panels were packed with. Calls emit(m, n, values,
// count).

// Rows of a left operand as floats, zero from K to the end of the block: element (m, k) is
// a[m * sm + k * sk].
struct Expanded {
  const float* a;
  int64_t sm, sk;
};
template <class Row>
inline Expanded expand(const LeftRows<Row>& left, float* a, int64_t m0, int64_t M, int64_t K) {
  for (int64_t m = 0; m < M; ++m) expand_row(a + m * padded(K), left.row(m0 + m), K);
  return {a, padded(K), 1};
}
template <class Column>
inline Expanded expand(const LeftColumns<Column>& left, float* a, int64_t m0, int64_t M,
                       int64_t K) {
  for (int64_t k = 0; k < padded(K); ++k) {
    for (int64_t m = 0; m < M; m += 16) {
      store(a + k * kRowBlock + m,
            k < K ? load_stored_n(left.column(k) + m0 + m, M - m) : splat(0.0f));
    }
  }
  return {a, 1, kRowBlock};
}
template <class S, class Left, class Emit>
inline void multiply_expanded(S s, Workspace workspace, const Left& left, int64_t M,
                              const typename S::Word* panels, int64_t N, int64_t K,
                              int64_t panel_blocks, const Emit& emit) {
  float* a = workspace.take<float>(kRowBlock * padded(K));
  for (int64_t m0 = 0; m0 < M; m0 += kRowBlock) {
    const int64_t rows = M - m0 < kRowBlock ? M - m0 : kRowBlock;
    multiply_block(s, expand(left, a, m0, rows, K), rows, panels, N, K, panel_blocks,
                   [&](int64_t m, int64_t n, const float* values, int64_t count) {
                     emit(m0 + m, n, values, count);
                   });
  }
}

#if defined(TROUPE_AMX)
#include "kernels/cpu/product_amx.inl"
#else
template <class Emit>
inline void multiply_block(Bf16, const Expanded& left, int64_t M, const uint32_t* panels, int64_t N,
                           int64_t K, int64_t panel_blocks, const Emit& emit) {
  constexpr int64_t kWidth = Chain::kWidth;
  const int64_t num_pairs = (K + 1) / 2;
  const auto vector_at = [&](int64_t n) {
    return panels + n / 16 * (panel_blocks * 16 * 16) + n % 16;
  };
  int64_t n = 0;
  const auto columns = [&](auto vectors) {
    constexpr int V = decltype(vectors)::value;
    for (; n + (V - 1) * kWidth < N; n += V * kWidth) {
      const uint32_t* b[V];
      for (int v = 0; v < V; ++v) b[v] = vector_at(n + v * kWidth);
      rows_bf16<V>(left.a, left.sm, left.sk, M, b, num_pairs, n, N, emit);
    }
  };
  // Few rows have few chains: more vectors side by side hide the latency of an addition.
  if (M <= Chain::kFewRows) columns(Count<Chain::kVectorsOfFew>{});
  columns(Count<Chain::kVectors>{});
  columns(Count<1>{});
}
template <class Left, class Emit>
inline void multiply(Bf16 s, Workspace workspace, const Left& left, int64_t M,
                     const uint32_t* panels, int64_t N, int64_t K, int64_t panel_blocks,
                     const Emit& emit) {
  multiply_expanded(s, workspace, left, M, panels, N, K, panel_blocks, emit);
}
#endif

// The checking arithmetic: one chain of multiplications and additions along the inner axis.
template <class Emit>
inline void multiply_block(Fp32, const Expanded& left, int64_t M, const float* panels, int64_t N,
                           int64_t K, int64_t panel_blocks, const Emit& emit) {
  alignas(64) float tile[16];
  for (int64_t n = 0; n < N; n += 16) {
    const float* b = panels + n / 16 * (panel_blocks * kPadK * 16);
    for (int64_t m = 0; m < M; ++m) {
      F16 c = splat(0.0f);
      for (int64_t k = 0; k < padded(K); ++k) {
        c = c + splat(left.a[m * left.sm + k * left.sk]) * load(b + k * 16);
      }
      store(tile, c);
      emit(m, n, tile, N - n < 16 ? N - n : 16);
    }
  }
}
template <class Left, class Emit>
inline void multiply(Fp32 s, Workspace workspace, const Left& left, int64_t M, const float* panels,
                     int64_t N, int64_t K, int64_t panel_blocks, const Emit& emit) {
  multiply_expanded(s, workspace, left, M, panels, N, K, panel_blocks, emit);
}

// Panels of a right operand given by its outputs' rows: row(n) points to K elements.
template <class Row>
inline void pack_rows(Bf16, uint32_t* panels, int64_t N, int64_t K, int64_t panel_blocks,
                      Row&& row) {
  const int64_t pairs = panel_blocks * 16;
  alignas(64) uint32_t rows[16 * 16];
  for (int64_t n0 = 0; n0 < N; n0 += 16) {
    uint32_t* panel = panels + n0 / 16 * pairs * 16;
    for (int64_t p0 = 0; p0 < pairs; p0 += 16) {
      for (int64_t i = 0; i < 16; ++i) {
        uint32_t* to = rows + i * 16;
        const int64_t count = K - 2 * p0 < 32 ? K - 2 * p0 : 32;
        if (n0 + i >= N || count < 32) std::memset(to, 0, 64);
        if (n0 + i < N && count > 0) {
          std::memcpy(to, row(n0 + i) + 2 * p0, static_cast<size_t>(count) * sizeof(uint16_t));
        }
      }
      transpose_words(panel + p0 * 16, rows, 16);
    }
  }
}
template <class Row>
inline void pack_rows(Fp32, float* panels, int64_t N, int64_t K, int64_t panel_blocks, Row&& row) {
  const int64_t depth = panel_blocks * kPadK;
  for (int64_t n = 0; n < padded(N, kPanelN); ++n) {
    float* panel = panels + n / 16 * depth * 16 + n % 16;
    for (int64_t k = 0; k < depth; ++k) panel[k * 16] = n < N && k < K ? row(n)[k] : 0.0f;
  }
}

// The same for a right operand given along its inner axis: row(k) points to N elements. The rows of
// a block are taken together, so that they stay in the first cache while its part of each panel is
// written in one go; row() may give the same memory again after kPadK rows.
template <class Row>
inline void pack_columns(Bf16, uint32_t* panels, int64_t N, int64_t K, int64_t panel_blocks,
                         Row&& row) {
  alignas(64) static constexpr uint16_t kNothing[16] = {};
  uint16_t low_tail[16], high_tail[16];
  const uint16_t* rows[kPadK];
  for (int64_t block = 0; block < panel_blocks; ++block) {
    const int64_t left = K - block * kPadK;
    for (int64_t i = 0; i < kPadK; ++i) rows[i] = i < left ? row(block * kPadK + i) : nullptr;
    for (int64_t n = 0; n < N; n += 16) {
      uint32_t* to = panels + (n / 16 * panel_blocks + block) * 256;
      for (int64_t pair = 0; pair < 16; ++pair, to += 16) {
        const uint16_t* low = rows[2 * pair];
        const uint16_t* high = rows[2 * pair + 1];
        if (N - n >= 16) {
          interleave_halves(to, low != nullptr ? low + n : kNothing,
                            high != nullptr ? high + n : kNothing);
          continue;
        }
        for (int64_t i = 0; i < 16; ++i) {
          low_tail[i] = n + i < N && low != nullptr ? low[n + i] : 0;
          high_tail[i] = n + i < N && high != nullptr ? high[n + i] : 0;
        }
        interleave_halves(to, low_tail, high_tail);
      }
    }
  }
}
template <class Row>
inline void pack_columns(Fp32, float* panels, int64_t N, int64_t K, int64_t panel_blocks,
                         Row&& row) {
  const int64_t depth = panel_blocks * kPadK;
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t n = 0; n < padded(N, kPanelN); ++n) {
      panels[n / 16 * depth * 16 + k * 16 + n % 16] = n < N && k < K ? row(k)[n] : 0.0f;
    }
  }
}

template <class S>
int64_t packed_words(int64_t rows, int64_t cols) {
  return padded(rows, kPanelN) * padded(cols) * S::kWordsPerK / 16;
}

template <class Element>
inline void store_row(Element* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) store_stored_n(to + i, load_n(from + i, n - i), n - i);
}

template <class S>
void pack(S s, Workspace workspace, const Packed& to, const float* from, int64_t ld,
          bool is_transposed) {
  using Element = typename S::Element;
  const int64_t N = to.rows, K = to.cols, blocks = blocks_of(K);
  auto* panels = reinterpret_cast<typename S::Word*>(to.address);
  if (is_transposed) {
    auto* rounded_rows = workspace.take<Element>(kPadK * padded(N));
    pack_columns(s, panels, N, K, blocks, [&](int64_t k) -> const Element* {
      if constexpr (S::kPrecision == Precision::kFp32) {
        return from + k * ld;
      } else {
        Element* row = rounded_rows + k % kPadK * padded(N);
        store_row(row, from + k * ld, N);
        return row;
      }
    });
    return;
  }
  auto* rounded_rows = workspace.take<Element>(16 * padded(K));
  for (int64_t n0 = 0; n0 < N; n0 += 16) {
    const int64_t count = N - n0 < 16 ? N - n0 : 16;
    for (int64_t i = 0; i < count; ++i) {
      store_row(rounded_rows + i * padded(K), from + (n0 + i) * ld, K);
    }
    pack_rows(s, panels + n0 * blocks * kPadK * S::kWordsPerK / 16, count, K, blocks,
              [&](int64_t i) { return rounded_rows + i * padded(K); });
  }
}

template <class S>
void gemm_of_part(S s, Workspace workspace, const Gemm& args) {
  using Element = typename S::Element;
  const int64_t K = args.w.cols;
  const auto* x = reinterpret_cast<const Element*>(args.x.address);
  const auto* rows = reinterpret_cast<const int32_t*>(args.x_rows.address);
  const auto* panels = reinterpret_cast<const typename S::Word*>(args.w.address);
  auto* y = reinterpret_cast<float*>(args.y.address);
  const LeftRows left{[&](int64_t m) { return x + (rows != nullptr ? rows[m] : m) * args.ldx; }};
  const auto run = [&](const auto& emit) {
    multiply(s, workspace, left, args.M, panels, args.w.rows, K, blocks_of(K), emit);
  };
  if (y == nullptr) {
    run(IntoStored<S>{reinterpret_cast<Element*>(args.y_stored.address), args.ldy});
  } else if (args.accumulates) {
    run(AddToFloats{y, args.ldy});
  } else {
    run(IntoFloats{y, args.ldy});
  }
}

inline void move_rows(Gemm& args, int64_t rows) {
  if (args.y) args.y = args.y + rows * args.ldy;
  if (args.y_stored) args.y_stored = args.y_stored + rows * args.ldy;
  if (args.x_rows) {
    args.x_rows = args.x_rows + rows;
  } else {
    args.x = args.x + rows * args.ldx;
  }
}

// Some rows meet all parts before the next do, so that a row comes from memory once.
template <class S>
void gemm(S s, Workspace workspace, const Gemm& args) {
  constexpr int64_t kRows = 128;
  if (args.num_parts == 1) {
    gemm_of_part(s, workspace, args);
    return;
  }
  for (int64_t m = 0; m < args.M; m += kRows) {
    Gemm rows = args;
    rows.M = args.M - m < kRows ? args.M - m : kRows;
    move_rows(rows, m);
    for (int64_t p = 0; p < args.num_parts; ++p) {
      gemm_of_part(s, workspace, rows);
      if (rows.y) rows.y = rows.y + args.y_part;
      if (rows.y_stored) rows.y_stored = rows.y_stored + args.y_part;
      rows.x = rows.x + args.x_part;
      rows.w.address += static_cast<uint64_t>(args.w_part_bytes);
    }
  }
}

template <class S>
void weight_gradient(S s, Workspace workspace, const WeightGradient& args) {
  using Element = typename S::Element;
  const int64_t T = args.T;
  if (T == 0) return;
  const auto* dy = reinterpret_cast<const Element*>(args.dy.address);
  const auto* x = reinterpret_cast<const Element*>(args.x.address);
  const auto* dy_rows = reinterpret_cast<const int32_t*>(args.dy_rows.address);
  const auto* x_rows = reinterpret_cast<const int32_t*>(args.x_rows.address);
  auto* panels = workspace.take<typename S::Word>(packed_words<S>(args.cols, T));
  pack_columns(s, panels, args.cols, T, blocks_of(T),
               [&](int64_t t) { return x + (x_rows != nullptr ? x_rows[t] : t) * args.ldx; });
  const LeftColumns left{
      [&](int64_t t) { return dy + (dy_rows != nullptr ? dy_rows[t] : t) * args.lddy; }};
  multiply(s, workspace, left, args.rows, panels, args.cols, T, blocks_of(T),
           AddToFloats{reinterpret_cast<float*>(args.dw.address), args.ldw});
}

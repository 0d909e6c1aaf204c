// Matrix products in the arithmetic `cpu-1`: per block of 32 along the inner axis an even and an
// odd chain of fused multiply-adds from zero, then c += even + odd. Every output is computed by the
// same chain whatever the shape, so its bits do not depend on the other rows.
//
// Left operands are read where they are stored, by rows or by columns (LeftRows, LeftColumns),
// right operands are panels of 16 outputs:
//   bf16   panel[word][16]  32-bit words of two elements each, sixteen words to a block: those that
//                           low_of_word() and high_of_word() name
//   float  panel[k][16]     floats
// both with the inner axis zero-padded to whole blocks.

#if defined(TROUPE_DOT)
// A word is two successive links of one chain, the first of them in its upper half: eight words of
// the even chain, then eight of the odd one.
constexpr int64_t low_of_word(int64_t word) { return 4 * (word % 8) + 2 + word / 8; }
constexpr int64_t high_of_word(int64_t word) { return 4 * (word % 8) + word / 8; }
inline __m512i ordered_words(__m512i elements) {  // A block as it lies, as words.
  alignas(64) static constexpr auto kOrder = [] {
    struct {
      uint16_t at[32];
    } order{};
    for (int64_t word = 0; word < 16; ++word) {
      order.at[2 * word] = static_cast<uint16_t>(low_of_word(word));
      order.at[2 * word + 1] = static_cast<uint16_t>(high_of_word(word));
    }
    return order;
  }();
  return _mm512_permutexvar_epi16(_mm512_load_si512(&kOrder), elements);
}
inline void order_words(uint32_t* block) {
  _mm512_storeu_si512(block, ordered_words(_mm512_loadu_si512(block)));
}
#else
// A word is a link of the even chain and one of the odd chain.
constexpr int64_t low_of_word(int64_t word) { return 2 * word; }
constexpr int64_t high_of_word(int64_t word) { return 2 * word + 1; }
inline void order_words(uint32_t*) {}
#endif

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
  bool overwrites = false;  // Zeros, which are not read.
  void operator()(int64_t m, int64_t n, const float* values, int64_t count) const {
    float* to = y + m * ld + n;
    const F16 before = overwrites ? splat(0.0f) : load_n(to, count);
    store_n(to, before + load_n(values, count), count);
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

// Rows of outputs that will be written next, `width` of each. Their lines are asked for while
// products run: a store that misses waits for its line, and so does everything behind many requests
// at a time.
struct OutputRows {
  const char* at = nullptr;
  int64_t stride_bytes = 0;
  int64_t count = 0;
  int64_t bytes = 0;  // Of a row.

  void ask(int64_t rows) {
    for (; rows > 0 && count > 0; --rows, --count, at += stride_bytes) {
      for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(at + line, 1, 2);
    }
  }
};
template <class Emit>
inline OutputRows output_rows(const Emit&, int64_t, int64_t, int64_t, int64_t) {
  return {};
}
template <class Element>
inline OutputRows rows_of(const Element* y, int64_t ld, int64_t m, int64_t rows, int64_t n,
                          int64_t width) {
  constexpr int64_t kBytes = sizeof(Element);
  return {.at = reinterpret_cast<const char*>(y + m * ld + n),
          .stride_bytes = ld * kBytes,
          .count = rows,
          .bytes = width * kBytes};
}
inline OutputRows output_rows(const IntoFloats& to, int64_t m, int64_t rows, int64_t n,
                              int64_t width) {
  return rows_of(to.y, to.ld, m, rows, n, width);
}
inline OutputRows output_rows(const AddToFloats& to, int64_t m, int64_t rows, int64_t n,
                              int64_t width) {
  return rows_of(to.y, to.ld, m, rows, n, width);
}
inline OutputRows output_rows(const IntoStored<Bf16>& to, int64_t m, int64_t rows, int64_t n,
                              int64_t width) {
  return rows_of(to.y, to.ld, m, rows, n, width);
}

// multiply(s, workspace, left, M, panels, N, K, panel_blocks, emit): all outputs of M rows of a
// left operand against the panels of a right one with N outputs, over the first K elements of the
// inner axis; the panels are zero from there to the end of the block, or meet a left operand that
// is. `panel_blocks` is how many blocks the panels were packed with. Calls emit(m, n, values,
// count).

#if defined(TROUPE_AMX)
#include "kernels/cpu/product_amx.inl"
#else
#include "kernels/cpu/product_chains.inl"
#endif

// The checking arithmetic: one chain of multiplications and additions along the inner axis.
template <class Row>
inline void widen_left(float* a, const LeftRows<Row>& left, int64_t m, int64_t K) {
  expand_row(a, left.row(m), K);
}
template <class Column>
inline void widen_left(float* a, const LeftColumns<Column>& left, int64_t m, int64_t K) {
  for (int64_t k = 0; k < padded(K); ++k) a[k] = k < K ? widen(left.column(k)[m]) : 0.0f;
}
template <class Left, class Emit>
inline void multiply(Fp32, Workspace workspace, const Left& left, int64_t M, const float* panels,
                     int64_t N, int64_t K, int64_t panel_blocks, const Emit& emit) {
  float* a = workspace.take<float>(padded(K));
  alignas(64) float tile[16];
  for (int64_t m = 0; m < M; ++m) {
    widen_left(a, left, m, K);
    for (int64_t n = 0; n < N; n += 16) {
      const float* b = panels + n / 16 * (panel_blocks * kPadK * 16);
      F16 c = splat(0.0f);
      for (int64_t k = 0; k < padded(K); ++k) c = c + splat(a[k]) * load(b + k * 16);
      store(tile, c);
      emit(m, n, tile, N - n < 16 ? N - n : 16);
    }
  }
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
        const int64_t count = K - 2 * p0;
        if (n0 + i < N && count >= kPadK) {
          std::memcpy(to, row(n0 + i) + 2 * p0, 64);
        } else {
          std::memset(to, 0, 64);
          if (n0 + i < N && count > 0) {
            std::memcpy(to, row(n0 + i) + 2 * p0, static_cast<size_t>(count) * sizeof(uint16_t));
          }
        }
        order_words(to);
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
        const uint16_t* low = rows[low_of_word(pair)];
        const uint16_t* high = rows[high_of_word(pair)];
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
  auto* dw = reinterpret_cast<float*>(args.dw.address);
  if (T == 0) {
    const size_t bytes = static_cast<size_t>(args.overwrites ? args.cols : 0) * sizeof(float);
    for (int64_t row = 0; row < args.rows; ++row) std::memset(dw + row * args.ldw, 0, bytes);
    return;
  }
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
           AddToFloats{dw, args.ldw, args.overwrites});
}

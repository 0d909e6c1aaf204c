// Attention of many queries on AMX tiles: what prefill and training do. The sums are those of
// attention.inl. Here a strip of 32 query rows goes all the way from its scores to its outputs
// before the next one begins, so that scores and probabilities stay in the first cache; and they
// lie where the products read them, because tiles may be loaded from rows of any distance.
//
// Rows that are written here are never a multiple of 1 KiB apart: those of a tile would share few
// sets of the cache.

constexpr int64_t kScorePadding = 16;  // Floats between rows of scores, beside their keys.
constexpr int64_t kProbabilityPadding = 32;

constexpr bool is_done_in_strips(const CacheRow& row) { return row.value_width % 32 == 0; }

// The tiles of a left operand of 32 rows: distances in elements.
struct StripTiles {
  const uint16_t* upper;
  int64_t lower;  // From an upper tile to the lower one.
  int64_t next;   // To the next block of the inner axis.
  int64_t ld;     // From row to row.
};
inline StripTiles packed_strip(const uint32_t* tiles) {
  return {reinterpret_cast<const uint16_t*>(tiles), 512, 1024, 32};
}
inline StripTiles strip_of_rows(const uint16_t* rows, int64_t ld) {
  return {rows, 16 * ld, kPadK, ld};
}

// A right operand: where its first panel is, and how far the next.
struct Panels {
  const uint32_t* at;
  int64_t words;

  const uint32_t* operator()(int64_t n) const { return at + n / 16 * words; }
};

// to[16 or 32 rows][16 or 32 outputs from n on] = strip times panels.
template <bool kHasLower, bool kHasRight>
inline void strip_tiles(float* to, int64_t ld, const StripTiles& strip, const Panels& panels,
                        int64_t n, int64_t num_blocks) {
  const uint32_t* left_panel = panels(n);
  const uint32_t* right_panel = panels(n + 16);
  const int64_t row_bytes = strip.ld * 2, to_bytes = ld * 4;
  TROUPE_TILE_ZERO(0);
  if constexpr (kHasRight) TROUPE_TILE_ZERO(1);
  if constexpr (kHasLower) TROUPE_TILE_ZERO(2);
  if constexpr (kHasLower && kHasRight) TROUPE_TILE_ZERO(3);
  for (int64_t block = 0; block < num_blocks; ++block) {
    const uint16_t* upper = strip.upper + block * strip.next;
    TROUPE_TILE_LOAD(4, upper, row_bytes);
    TROUPE_TILE_LOAD(6, left_panel + block * 256, 64);
    TROUPE_TILE_DOT(0, 4, 6);
    if constexpr (kHasRight) {
      TROUPE_TILE_LOAD(7, right_panel + block * 256, 64);
      TROUPE_TILE_DOT(1, 4, 7);
    }
    if constexpr (kHasLower) {
      TROUPE_TILE_LOAD(5, upper + strip.lower, row_bytes);
      TROUPE_TILE_DOT(2, 5, 6);
    }
    if constexpr (kHasLower && kHasRight) TROUPE_TILE_DOT(3, 5, 7);
  }
  TROUPE_TILE_STORE(0, to, to_bytes);
  if constexpr (kHasRight) TROUPE_TILE_STORE(1, to + 16, to_bytes);
  if constexpr (kHasLower) TROUPE_TILE_STORE(2, to + 16 * ld, to_bytes);
  if constexpr (kHasLower && kHasRight) TROUPE_TILE_STORE(3, to + 16 * ld + 16, to_bytes);
}
inline void strip_tiles(float* to, int64_t ld, const StripTiles& strip, int64_t rows,
                        const Panels& panels, int64_t n, int64_t N, int64_t num_blocks) {
  if (rows > 16 && N - n > 16) return strip_tiles<true, true>(to, ld, strip, panels, n, num_blocks);
  if (rows > 16) return strip_tiles<true, false>(to, ld, strip, panels, n, num_blocks);
  if (N - n > 16) return strip_tiles<false, true>(to, ld, strip, panels, n, num_blocks);
  strip_tiles<false, false>(to, ld, strip, panels, n, num_blocks);
}

// All N outputs, rounded up to whole tiles, of the rows of a strip, rounded up likewise.
inline void multiply_strip(float* to, int64_t ld, const StripTiles& strip, int64_t rows,
                           const Panels& panels, int64_t N, int64_t num_blocks) {
  TROUPE_TILE_FENCE();
  for (int64_t n = 0; n < N; n += 32) {
    strip_tiles(to + n, ld, strip, rows, panels, n, N, num_blocks);
  }
}

// Query rows m, m + 1, ... of a sequence: which of all (N, H) they are, and how many keys each
// sees. A row that is not there sees none. Counted up, because a division for each row and output
// takes as long as the products.
struct StripRows {
  int64_t count = 0;
  int64_t row[kStripRows];
  int64_t visible[kStripRows];

  bool is_contiguous() const {
    return count == kStripRows && row[kStripRows - 1] == row[0] + kStripRows - 1;
  }
};
inline StripRows strip_rows(const GroupRows& row_of, int64_t m, int64_t rows, int64_t hidden) {
  StripRows strip;
  strip.count = rows < kStripRows ? rows : kStripRows;
  int64_t token = m / row_of.heads, head = m % row_of.heads;
  for (int64_t i = 0; i < kStripRows; ++i) {
    strip.row[i] = row_of.first + token * row_of.H + head;
    strip.visible[i] = i < strip.count ? hidden + token + 1 : 0;
    if (++head == row_of.heads) {
      head = 0;
      ++token;
    }
  }
  return strip;
}

// Lines of memory that are asked for some at a time while something else is computed: few can be
// under way, and who asks for more waits.
template <int kToWrite>
class LinesAhead {
 public:
  // Rows of a strip, `bytes` each, in `steps` steps. Rows that lie apart are asked for at once.
  LinesAhead(const void* rows, int64_t bytes, const StripRows& strip, int64_t steps) {
    const char* first = static_cast<const char*>(rows);
    if (strip.is_contiguous()) {
      at_ = first + strip.row[0] * bytes;
      end_ = at_ + kStripRows * bytes;
      step_bytes_ = (end_ - at_ + steps * 64 - 1) / (steps * 64) * 64;
      return;
    }
    for (int64_t i = 0; i < strip.count; ++i) ask(first + strip.row[i] * bytes, bytes);
  }
  void step() {
    const int64_t bytes = end_ - at_ < step_bytes_ ? end_ - at_ : step_bytes_;
    ask(at_, bytes);
    at_ += bytes;
  }

 private:
  static void ask(const char* from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, kToWrite, 2);
  }

  const char* at_ = nullptr;
  const char* end_ = nullptr;
  int64_t step_bytes_ = 0;
};
// How often the functions below take a step while they work on a strip, at least.
constexpr int64_t steps_of_strip(int64_t keys) {
  return kStripRows / kRowsTogether * (keys / 16 > 0 ? keys / 16 : 1);
}

// The rows of a strip, K elements each, as tiles: where they lie, or else in `tiles`.
inline StripTiles left_strip(uint32_t* tiles, const uint16_t* rows, int64_t K,
                             const StripRows& strip) {
  if (strip.is_contiguous()) return strip_of_rows(rows + strip.row[0] * K, K);
  left_tiles(tiles, LeftRows{[&](int64_t i) { return rows + strip.row[i] * K; }}, 0, strip.count, 0,
             K);
  return packed_strip(tiles);
}

inline void attention_in_strips(Workspace scratch, const Attention& args, int64_t sequence,
                                int64_t group) {
  const Bf16 s;
  const int64_t W = args.row.key_width, V = args.row.value_width;
  const int64_t heads = args.H / args.row.groups;
  const SequenceBatch& batch = args.sequences;
  const uint16_t* query = at(s, args.query);
  uint16_t* out = at(s, args.out);
  const int64_t first = at(batch.query_offset)[sequence];
  const int64_t T = at(batch.query_offset)[sequence + 1] - first;
  const int64_t context = at(batch.context)[sequence];
  const int64_t depth = padded(context);
  const uint16_t* cache = at(s, args.cache) + group * args.row.group_stride;
  const int32_t* blocks = at(batch.block_table) + sequence * batch.blocks_max;
  const CachePart<Bf16> key{cache, blocks, args.row.width};
  const CachePart<Bf16> value{cache + args.row.value_offset, blocks, args.row.width};
  auto* key_words = scratch.take<uint32_t>(packed_words<Bf16>(context, W));
  auto* value_words = scratch.take<uint32_t>(packed_words<Bf16>(V, context));
  pack_rows(s, key_words, context, W, W / kPadK, key);
  pack_columns(s, value_words, V, context, depth / kPadK, value);
  const Panels key_panels{key_words, W * 8}, value_panels{value_words, depth * 8};
  const int64_t z_ld = depth + kScorePadding, p_ld = depth + kProbabilityPadding;
  auto* z = scratch.take<float>(kStripRows * z_ld);
  auto* p = scratch.take<uint16_t>(kStripRows * p_ld);
  auto* query_tiles = scratch.take<uint32_t>(kStripRows * W / 2);
  alignas(64) float products[kStripRows * 32];
  float maxima[kStripRows], sums[kStripRows];
  const GroupRows row_of{first * args.H + group * heads, heads, args.H};
  configure_tiles();
  StripRows strip = strip_rows(row_of, 0, T * heads, context - T);
  for (int64_t m = 0; m < T * heads; m += kStripRows) {
    const StripRows next =
        strip_rows(row_of, m + kStripRows, T * heads - m - kStripRows, context - T);
    const int64_t keys = strip.visible[strip.count - 1];  // As many as any row sees.
    multiply_strip(z, z_ld, left_strip(query_tiles, query, W, strip), strip.count, key_panels, keys,
                   W / kPadK);
    const int64_t steps = steps_of_strip(strip.visible[0]);
    LinesAhead<0> query_ahead(query, W * 2, next, steps);
    LinesAhead<1> out_ahead(out, V * 2, strip, steps);
    const auto step = [&] {
      query_ahead.step();
      out_ahead.step();
    };
    softmax_rows(
        s, p, p_ld, z, z_ld, args.scale, strip.count, [&](int64_t i) { return strip.visible[i]; },
        keys, maxima, sums, step);
    for (int64_t i = 0; args.max && i < strip.count; ++i) {
      at(args.max)[strip.row[i]] = maxima[i];
      at(args.sum)[strip.row[i]] = sums[i];
    }
    TROUPE_TILE_FENCE();
    for (int64_t n = 0; n < V; n += 32) {
      strip_tiles(products, 32, strip_of_rows(p, p_ld), strip.count, value_panels, n, V,
                  blocks_of(keys));
      for (int64_t i = 0; i < strip.count; ++i) {
        const IntoAttended<Bf16> into{out + strip.row[i] * V, V, {0, 1, 1}, sums + i};
        into(0, n, products + i * 32, 16);
        into(0, n + 16, products + i * 32 + 16, 16);
      }
    }
    strip = next;
  }
}

// Two rows as the words of a right operand: `low` in the low halves, both rounded.
inline void store_pair(uint32_t* to, F16 low, F16 high) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  _mm512_store_si512(to, _mm512_or_si512(_mm512_srli_epi32(rounded_bits(low), 16),
                                         _mm512_and_si512(rounded_bits(high), upper)));
}
// The same, and each row as it is stored.
inline void store_pair(uint32_t* to, uint16_t* low_row, uint16_t* high_row, F16 low, F16 high) {
  store_pair(to, low, high);
  const __m512i pair = _mm512_load_si512(to);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low_row), _mm512_cvtepi32_epi16(pair));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high_row),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(pair, 16)));
}

// Rows of a tile of tokens as words of pairs, to become the left operand of a product along them:
// word (pair, j) at [j / 16][pair][j % 16], where one panel more than needed keeps what one pair
// writes from falling into one set of the cache.
struct PairWords {
  uint32_t* at;
  int64_t pairs;

  uint32_t* operator()(int64_t pair, int64_t j) const {
    return at + (j / 16 * (pairs + 1) + pair) * 16;
  }
  static int64_t words(int64_t pairs, int64_t depth) { return depth * (pairs + 1); }

  // to: the tiles of 16 or 32 keys from j on.
  void transpose(uint32_t* to, int64_t j, int64_t keys) const {
    for (int64_t half = 0; half * 16 < keys; ++half) {
      for (int64_t pair = 0; pair < pairs; pair += 16) {
        transpose_words(to + pair * 32 + half * 256, (*this)(pair, j + half * 16), 16);
      }
    }
  }
};

// to[0, rows)[0, 32) += a, and then += b.
inline void add_tiles(float* to, int64_t ld, int64_t rows, const float* a, const float* b) {
  for (int64_t i = 0; i < rows; ++i, to += ld, a += 32) {
    F16 left = load(to) + load(a), right = load(to + 16) + load(a + 16);
    if (b != nullptr) {
      left = left + load(b + i * 32);
      right = right + load(b + i * 32 + 16);
    }
    store(to, left);
    store(to + 16, right);
  }
}

// What a strip's rows say about the gradient of their scores.
struct StripGradient {
  float* z;         // Scores, which become probabilities.
  const float* dp;  // [row][z_ld], like the scores.
  int64_t z_ld;
  uint16_t* ds;  // Rounded, [row][ds_ld].
  int64_t ds_ld;
  PairWords p_words, ds_words;
  int64_t pair;  // Of the strip's first row.
  float scale;
};

// kRowsTogether rows from i0 on, as far as `keys`, a multiple of kPadK. Nothing that z and dp hold
// behind the keys that a row sees is looked at.
template <class Step>
inline void softmax_gradient(const StripGradient& to, const StripRows& strip, int64_t i0,
                             int64_t keys, const float* maxima, const float* sums,
                             const Step& step) {
  const int64_t* visible = strip.visible + i0;
  float* z = to.z + i0 * to.z_ld;
  const float* dp = to.dp + i0 * to.z_ld;
  const int64_t ld = to.z_ld;
  const F16 factor = splat(to.scale), zero = splat(0.0f);
  const F16Rows max = each_row([&](int i) { return splat(maxima[i0 + i]); });
  const F16Rows sum = each_row([&](int i) { return splat(sums[i0 + i]); });
  int64_t fewest = visible[0], most = visible[0];
  for (int i = 1; i < kRowsTogether; ++i) {
    fewest = visible[i] < fewest ? visible[i] : fewest;
    most = visible[i] > most ? visible[i] : most;
  }
  // Lanes of dp that a row does not see are zero.
  const auto visible_dp = [&](int i, int64_t j) { return load_n(dp + i * ld + j, visible[i] - j); };
  F16Rows mean = each_row([&](int) { return zero; });
  const auto add = [&](int64_t at, const F16Rows& score, const F16Rows& dp_rows)
      __attribute__((always_inline)) {
    const F16Rows prob = exp16(score - max) / sum;
    for (int i = 0; i < kRowsTogether; ++i) store(z + i * ld + at, prob.row[i]);
    mean = mean + prob * dp_rows;
  };
  int64_t j = 0;
  for (; j + 16 <= fewest; j += 16) {
    step();
    add(j, each_row([&](int i) { return load(z + i * ld + j) * factor; }),
        each_row([&](int i) { return load(dp + i * ld + j); }));
  }
  step();
  const int64_t whole = j;
  if (j < fewest) {
    add(j, each_row([&](int i) { return visible_scores(z + i * ld + j, factor, visible[i] - j); }),
        each_row([&](int i) { return visible_dp(i, j); }));
    j += 16;
  }
  for (; j < most; j += 16) {
    for (int i = 0; i < kRowsTogether; ++i) {
      F16 prob = zero;
      if (j < visible[i]) {
        const F16 score = visible_scores(z + i * ld + j, factor, visible[i] - j);
        prob = exp16(score - max.row[i]) / sum.row[i];
        mean.row[i] = mean.row[i] + prob * visible_dp(i, j);
      }
      store(z + i * ld + j, prob);
    }
  }
  const F16Rows average = each_row([&](int i) { return splat(fold_sum(mean.row[i])); });
  uint16_t* ds_to = to.ds + i0 * to.ds_ld;
  const auto put = [&](int64_t at, const F16Rows& prob, const F16Rows& ds)
      __attribute__((always_inline)) {
    for (int i = 0; i < kRowsTogether; i += 2) {
      const int64_t pair = to.pair + (i0 + i) / 2;
      uint16_t* row = ds_to + i * to.ds_ld + at;
      store_pair(to.p_words(pair, at), prob.row[i], prob.row[i + 1]);
      store_pair(to.ds_words(pair, at), row, row + to.ds_ld, ds.row[i], ds.row[i + 1]);
    }
  };
  for (j = 0; j < whole; j += 16) {
    const F16Rows prob = each_row([&](int i) { return load(z + i * ld + j); });
    const F16Rows dp_rows = each_row([&](int i) { return load(dp + i * ld + j); });
    put(j, prob, prob * (dp_rows - average) * factor);
  }
  if (j < fewest) {
    const F16Rows prob = each_row([&](int i) { return load(z + i * ld + j); });
    put(j, prob, prob * (each_row([&](int i) { return visible_dp(i, j); }) - average) * factor);
    j += 16;
  }
  for (; j < keys; j += 16) {
    F16Rows prob = each_row([&](int) { return zero; }), ds = prob;
    for (int i = 0; i < kRowsTogether; ++i) {
      if (j >= visible[i]) continue;
      prob.row[i] = load(z + i * ld + j);
      ds.row[i] = prob.row[i] * (visible_dp(i, j) - average.row[i]) * factor;
    }
    put(j, prob, ds);
  }
}

inline void attention_backward_in_strips(Workspace scratch, const AttentionBackward& args,
                                         int64_t sequence, int64_t group) {
  const Bf16 s;
  const int64_t W = args.row.key_width, V = args.row.value_width;
  const int64_t heads = args.H / args.row.groups;
  const SequenceBatch& batch = args.sequences;
  const uint16_t* query = at(s, args.query);
  const uint16_t* dout = at(s, args.dout);
  const int64_t first = at(batch.query_offset)[sequence];
  const int64_t T = at(batch.query_offset)[sequence + 1] - first;
  const int64_t depth = padded(T);
  const int64_t pairs = padded(kQueryTile * heads) / 2;
  const uint16_t* cache = at(s, args.cache) + group * args.row.group_stride;
  const int32_t* blocks = at(batch.block_table) + sequence * batch.blocks_max;
  const CachePart<Bf16> key{cache, blocks, args.row.width};
  const CachePart<Bf16> value{cache + args.row.value_offset, blocks, args.row.width};
  auto* key_words = scratch.take<uint32_t>(packed_words<Bf16>(T, W));
  auto* column_words = scratch.take<uint32_t>(packed_words<Bf16>(W, T));
  auto* value_words = scratch.take<uint32_t>(packed_words<Bf16>(T, V));
  pack_rows(s, key_words, T, W, W / kPadK, key);
  pack_columns(s, column_words, W, T, depth / kPadK, key);
  pack_rows(s, value_words, T, V, V / kPadK, value);
  const Panels key_panels{key_words, W * 8}, value_panels{value_words, V * 8};
  const Panels key_columns{column_words, depth * 8};
  const int64_t z_ld = depth + kScorePadding, ds_ld = depth + kProbabilityPadding;
  auto* z = scratch.take<float>(kStripRows * z_ld);
  auto* dp = scratch.take<float>(kStripRows * z_ld);
  auto* ds = scratch.take<uint16_t>(kStripRows * ds_ld);
  const PairWords p_words{scratch.take<uint32_t>(PairWords::words(pairs, depth)), pairs};
  const PairWords ds_words{scratch.take<uint32_t>(PairWords::words(pairs, depth)), pairs};
  auto* query_tiles = scratch.take<uint32_t>(kStripRows * W / 2);
  auto* dout_tiles = scratch.take<uint32_t>(kStripRows * V / 2);
  auto* p_tiles = scratch.take<uint32_t>(pairs * kStripRows);
  auto* ds_tiles = scratch.take<uint32_t>(pairs * kStripRows);
  auto* query_words = scratch.take<uint32_t>(pairs * W);
  auto* dout_words = scratch.take<uint32_t>(pairs * V);
  alignas(64) float of_key[kStripRows * 32], of_value[kStripRows * 32];
  float maxima[kStripRows], sums[kStripRows];
  float* dkey = at(args.dcache) + first * args.row.width + group * args.row.group_stride;
  float* dvalue = dkey + args.row.value_offset;
  const GroupRows row_of{first * args.H + group * heads, heads, args.H};
  configure_tiles();
  for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    const int64_t rows = tokens * heads, keys = t0 + tokens;
    for (int64_t m = 0; m < rows; m += kStripRows) {
      const StripRows strip = strip_rows(row_of, t0 * heads + m, rows - m, 0);
      const StripRows next = strip_rows(row_of, t0 * heads + m + kStripRows, kStripRows, 0);
      const int64_t seen = strip.visible[strip.count - 1];
      multiply_strip(z, z_ld, left_strip(query_tiles, query, W, strip), strip.count, key_panels,
                     seen, W / kPadK);
      multiply_strip(dp, z_ld, left_strip(dout_tiles, dout, V, strip), strip.count, value_panels,
                     seen, V / kPadK);
      for (int64_t i = 0; i < strip.count; ++i) {
        maxima[i] = at(args.max)[strip.row[i]];
        sums[i] = at(args.sum)[strip.row[i]];
      }
      for (int64_t i = strip.count; i < kStripRows; ++i) maxima[i] = sums[i] = 1;
      const StripGradient gradient{z, dp, z_ld, ds, ds_ld, p_words, ds_words, m / 2, args.scale};
      const int64_t steps = steps_of_strip(strip.visible[0]);
      LinesAhead<0> query_ahead(query, W * 2, next, steps);
      LinesAhead<0> dout_ahead(dout, V * 2, next, steps);
      LinesAhead<1> dquery_ahead(at(args.dquery), W * 4, strip, steps);
      const auto step = [&] {
        query_ahead.step();
        dout_ahead.step();
        dquery_ahead.step();
      };
      for (int64_t i = 0; i < kStripRows; i += kRowsTogether) {
        softmax_gradient(gradient, strip, i, padded(keys), maxima, sums, step);
      }
      TROUPE_TILE_FENCE();
      for (int64_t n = 0; n < W; n += 32) {
        const StripTiles left = strip_of_rows(ds, ds_ld);
        if (strip.is_contiguous()) {
          strip_tiles(at(args.dquery) + strip.row[0] * W + n, W, left, kStripRows, key_columns, n,
                      W, blocks_of(seen));
          continue;
        }
        strip_tiles(of_key, 32, left, strip.count, key_columns, n, W, blocks_of(seen));
        for (int64_t i = 0; i < strip.count; ++i) {
          float* dquery = at(args.dquery) + strip.row[i] * W + n;
          store(dquery, load(of_key + i * 32));
          store(dquery + 16, load(of_key + i * 32 + 16));
        }
      }
    }
    const GroupRows tile_row{row_of.first + t0 * args.H, heads, args.H};
    const int64_t row_blocks = blocks_of(rows);
    pack_columns(s, query_words, W, rows, row_blocks,
                 [&](int64_t i) { return query + tile_row(i) * W; });
    pack_columns(s, dout_words, V, rows, row_blocks,
                 [&](int64_t i) { return dout + tile_row(i) * V; });
    const Panels query_panels{query_words, row_blocks * 256};
    const Panels dout_panels{dout_words, row_blocks * 256};
    const bool is_in_key = args.row.value_offset == 0 && V <= W;
    for (int64_t j = 0; j < keys; j += kStripRows) {
      const int64_t count = keys - j < kStripRows ? keys - j : kStripRows;
      PairWords{ds_words}.transpose(ds_tiles, j, count);
      PairWords{p_words}.transpose(p_tiles, j, count);
      TROUPE_TILE_FENCE();
      for (int64_t n = 0; n < W; n += 32) {
        const bool has_value = is_in_key && n < V;
        strip_tiles(of_key, 32, packed_strip(ds_tiles), count, query_panels, n, W, row_blocks);
        if (has_value) {
          strip_tiles(of_value, 32, packed_strip(p_tiles), count, dout_panels, n, V, row_blocks);
        }
        add_tiles(dkey + j * args.row.width + n, args.row.width, count, of_key,
                  has_value ? of_value : nullptr);
      }
      for (int64_t n = 0; !is_in_key && n < V; n += 32) {
        strip_tiles(of_value, 32, packed_strip(p_tiles), count, dout_panels, n, V, row_blocks);
        add_tiles(dvalue + j * args.row.width + n, args.row.width, count, of_value, nullptr);
      }
    }
  }
}

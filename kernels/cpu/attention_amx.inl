// Attention of a few queries on AMX tiles: what decoding does. Its products are those of
// attention.inl, with nothing packed: keys are tiles as they lie in the cache, met from the left,
// and values become tiles on their way from the cache to the product.

constexpr int64_t kFewQueries = 16;  // Rows of one tile.

// The rows of the cache that will be worked on next. They are asked for line by line while the
// present ones are, because a stream of tile loads waits for memory otherwise.
struct NextRows {
  CachePart<Bf16> rows;
  int64_t context;  // 0: none come.
  int64_t lines;    // Of a row.

  // Lines [first, last) of rows j and j + 1.
  void ask(int64_t j, int64_t first, int64_t last) const {
    if (j + 1 >= context) return;
    const uint16_t* row = rows(j);
    for (int64_t line = first; line < last; ++line) {
      __builtin_prefetch(row + line * 32, 0, 2);
      __builtin_prefetch(row + rows.width + line * 32, 0, 2);
    }
  }
  int64_t half() const { return (lines + 1) / 2; }
};

// z[row * ld + j] = query . key j for `rows` queries and j < keys. `panels` has space for the
// queries' panel.
template <class Query>
inline void scores_of_few(uint32_t* panels, float* z, int64_t ld, Query&& query, int64_t rows,
                          const CachePart<Bf16>& key, int64_t keys, int64_t W,
                          const NextRows& next) {
  configure_tiles();
  const int64_t num_blocks = W / kPadK;
  pack_rows(Bf16{}, panels, rows, W, num_blocks, query);
  alignas(64) uint32_t tail[512];
  alignas(64) float products[512], across[256];
  for (int64_t j0 = 0; j0 < keys; j0 += 32) {
    const int64_t count = keys - j0 < 32 ? keys - j0 : 32;
    const uint16_t* from = key(j0);
    TROUPE_TILE_FENCE();
    TROUPE_TILE_ZERO(0);
    TROUPE_TILE_ZERO(1);
    for (int64_t block = 0; block < num_blocks; ++block) {
      const uint16_t* upper = from + block * kPadK;
      const uint16_t* lower = upper + 16 * key.width;
      int64_t stride = key.width * 2;
      if (count < 32) {  // Behind the last key the cache may end.
        std::memset(tail, 0, sizeof(tail));
        for (int64_t i = 0; i < count; ++i) std::memcpy(tail + i * 16, upper + i * key.width, 64);
        upper = reinterpret_cast<const uint16_t*>(tail);
        lower = reinterpret_cast<const uint16_t*>(tail + 256);
        stride = 64;
        TROUPE_TILE_FENCE();
      }
      TROUPE_TILE_LOAD(4, upper, stride);
      TROUPE_TILE_LOAD(5, lower, stride);
      TROUPE_TILE_LOAD(6, panels + block * 256, 64);
      TROUPE_TILE_DOT(0, 4, 6);
      TROUPE_TILE_DOT(1, 5, 6);
    }
    TROUPE_TILE_STORE(0, products, 64);
    TROUPE_TILE_STORE(1, products + 256, 64);
    for (int64_t pair = 0; pair < 16; ++pair) next.ask(j0 + 2 * pair, 0, next.half());
    for (int64_t half = 0; half * 16 < count; ++half) {
      float* to = z + j0 + half * 16;
      const float* of_keys = products + half * 256;
      if (rows <= 2) {
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t i = 0; i < 16; ++i) to[row * ld + i] = of_keys[i * 16 + row];
        }
        continue;
      }
      transpose_words(reinterpret_cast<uint32_t*>(across),
                      reinterpret_cast<const uint32_t*>(of_keys), 16);
      for (int64_t row = 0; row < rows; ++row) store(to + row * ld, load(across + row * 16));
    }
  }
}

// The products of probabilities (rows of 16, ldp apart, zero from `keys` to the end of its block)
// with values, given to emit in runs of 16.
template <class Emit>
inline void attend_few(const uint16_t* p, int64_t ldp, int64_t rows, const CachePart<Bf16>& value,
                       int64_t keys, int64_t V, const Emit& emit, const NextRows& next) {
  configure_tiles();
  alignas(64) static constexpr uint16_t kNothing[64] = {};
  alignas(64) uint32_t right[4 * 256] = {};
  alignas(64) float products[4 * 256];
  for (int64_t n = 0; n < V; n += 64) {
    const int64_t panels = V - n > 48 ? 4 : (V - n + 15) / 16;
    TROUPE_TILE_ZERO(0);
    TROUPE_TILE_ZERO(1);
    TROUPE_TILE_ZERO(2);
    TROUPE_TILE_ZERO(3);
    for (int64_t j0 = 0; j0 < keys; j0 += kPadK) {
      const uint16_t* from = value(j0) + n;
      for (int64_t pair = 0; pair < 16; ++pair) {
        const int64_t j = j0 + 2 * pair;
        const uint16_t* low = j < keys ? from + 2 * pair * value.width : kNothing;
        const uint16_t* high = j + 1 < keys ? from + (2 * pair + 1) * value.width : kNothing;
        for (int64_t i = 0; i < panels; ++i) {
          interleave_halves(right + i * 256 + pair * 16, low + i * 16, high + i * 16);
        }
        if (n == 0) next.ask(j, next.half(), next.lines);
      }
      TROUPE_TILE_FENCE();
      TROUPE_TILE_LOAD(4, p + j0, ldp * 2);
      TROUPE_TILE_LOAD(5, right, 64);
      TROUPE_TILE_DOT(0, 4, 5);
      TROUPE_TILE_LOAD(6, right + 256, 64);
      TROUPE_TILE_DOT(1, 4, 6);
      TROUPE_TILE_LOAD(7, right + 512, 64);
      TROUPE_TILE_DOT(2, 4, 7);
      TROUPE_TILE_LOAD(5, right + 768, 64);
      TROUPE_TILE_DOT(3, 4, 5);
    }
    TROUPE_TILE_STORE(0, products, 64);
    TROUPE_TILE_STORE(1, products + 256, 64);
    TROUPE_TILE_STORE(2, products + 512, 64);
    TROUPE_TILE_STORE(3, products + 768, 64);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < panels; ++i) {
        const int64_t count = V - n - i * 16 < 16 ? V - n - i * 16 : 16;
        emit(row, n + i * 16, products + i * 256 + row * 16, count);
      }
    }
  }
}

// Queries of one group of a sequence, where there are no more than kFewQueries.
inline void attention_of_few(Workspace scratch, const Attention& args, int64_t sequence,
                             int64_t group, const NextRows& next) {
  const Bf16 s;
  const int64_t W = args.row.key_width, V = args.row.value_width;
  const int64_t heads = args.H / args.row.groups;
  const SequenceBatch& batch = args.sequences;
  const int64_t first = at(batch.query_offset)[sequence];
  const int64_t T = at(batch.query_offset)[sequence + 1] - first;
  const int64_t context = at(batch.context)[sequence];
  const int64_t depth = padded(context), rows = T * heads;
  const uint16_t* query = at(s, args.query);
  const uint16_t* cache = at(s, args.cache) + group * args.row.group_stride;
  const int32_t* blocks = at(batch.block_table) + sequence * batch.blocks_max;
  const CachePart<Bf16> key{cache, blocks, args.row.width};
  const CachePart<Bf16> value{cache + args.row.value_offset, blocks, args.row.width};
  const GroupRows row_of{first * args.H + group * heads, heads, args.H};
  auto* panels = scratch.take<uint32_t>(packed_words<Bf16>(kFewQueries, W));
  float* z = scratch.take<float>(kFewQueries * depth);
  auto* p = scratch.take<uint16_t>(kFewQueries * depth);
  float maxima[kFewQueries], sums[kFewQueries];
  const auto query_row = [&](int64_t i) { return query + row_of(i) * W; };
  scores_of_few(panels, z, depth, query_row, rows, key, context, W, next);
  const auto visible_of = [&](int64_t i) { return context - T + i / heads + 1; };
  softmax_rows(s, p, depth, z, depth, args.scale, rows, visible_of, context, maxima, sums, [] {});
  for (int64_t i = 0; args.max && i < rows; ++i) {
    at(args.max)[row_of(i)] = maxima[i];
    at(args.sum)[row_of(i)] = sums[i];
  }
  attend_few(p, depth, rows, value, context, V,
             IntoAttended<Bf16>{at(s, args.out), V, row_of, sums}, next);
}

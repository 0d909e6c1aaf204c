// Attention over a paged cache. Prefill, decode and training are one computation: for each
// query row the scores are whole products, the maximum is exact, the probabilities are rounded as
// operands are, and keys are taken in blocks of 32 counted from position 0. What lies behind a
// query is +0 in the last block, so it does not matter who else is in the tile.

constexpr int64_t kQueryTile = 16;  // Tokens whose queries are worked on together.

// A part of the cache rows of one sequence, by token.
template <class S>
struct CachePart {
  const typename S::Element* cache;  // Row 0 of the part.
  const int32_t* blocks;             // Of this sequence: the row of each block's first token.
  int64_t width;                     // Of a whole row.

  const typename S::Element* operator()(int64_t j) const {
    return cache + (blocks[j / kBlockTokens] + j % kBlockTokens) * width;
  }
};

// Queries of one group's heads: row i of a tile is head i % heads of token i / heads.
struct GroupRows {
  int64_t first;  // Row of the tile's first query among all (N, H).
  int64_t heads;  // Of the group.
  int64_t H;

  int64_t operator()(int64_t i) const { return first + i / heads * H + i % heads; }
};

// z[row, j] = scale * (query row . key j) for j < keys, zeros from there to whole blocks.
template <class S>
inline void attention_scores(S s, Workspace scratch, float* z, int64_t ldz, const float* a,
                             int64_t rows, int64_t W, const typename S::Word* panels, int64_t keys,
                             float scale) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t j = keys / 16 * 16; j < padded(keys); j += 16) store(z + row * ldz + j, splat(0));
  }
  multiply(s, scratch, a, W, 1, rows, panels, keys, W, W / kPadK,
           [&](int64_t m, int64_t n, const float* values, int64_t count) {
             store_n(z + m * ldz + n, load_n(values, count) * splat(scale), count);
           });
}

template <class S>
void attention_of_group(S s, Workspace scratch, const Attention& args, int64_t sequence,
                        int64_t group) {
  const int64_t W = args.row.key_width, V = args.row.value_width;
  const int64_t heads = args.H / args.row.groups;
  const SequenceBatch& batch = args.sequences;
  const auto* query = at(s, args.query);
  const int64_t first = at(batch.query_offset)[sequence];
  const int64_t T = at(batch.query_offset)[sequence + 1] - first;
  const int64_t context = at(batch.context)[sequence];
  const int64_t depth = padded(context);
  const auto* cache = at(s, args.cache) + group * args.row.group_stride;
  const int32_t* blocks = at(batch.block_table) + sequence * batch.blocks_max;
  const CachePart<S> key{cache, blocks, args.row.width};
  const CachePart<S> value{cache + args.row.value_offset, blocks, args.row.width};
  auto* key_panels = scratch.take<typename S::Word>(packed_words<S>(context, W));
  auto* value_panels = scratch.take<typename S::Word>(packed_words<S>(V, context));
  pack_rows(s, key_panels, context, W, W / kPadK, key);
  pack_columns(s, value_panels, V, context, depth / kPadK, value);
  float* a = scratch.take<float>(kQueryTile * heads * W);
  float* z = scratch.take<float>(kQueryTile * heads * depth);
  float* sums = scratch.take<float>(kQueryTile * heads);
  for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    const int64_t rows = tokens * heads;
    const GroupRows row_of{(first + t0) * args.H + group * heads, heads, args.H};
    const int64_t keys = context - T + t0 + tokens;  // That the last token of the tile sees.
    for (int64_t i = 0; i < rows; ++i) expand_row(a + i * W, query + row_of(i) * W, W);
    attention_scores(s, scratch, z, depth, a, rows, W, key_panels, keys, args.scale);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t visible = context - T + t0 + i / heads + 1;
      float* row = z + i * depth;
      F16 largest = splat(-3.0e38f);
      for (int64_t j = 0; j < visible; j += 16) {
        largest = maximum(largest, load_or_lowest(row + j, visible - j));
      }
      const float max = fold_max(largest);
      F16 sum = splat(0.0f);
      for (int64_t j = 0; j < padded(keys); j += 16) {
        F16 p = splat(0.0f);
        if (j < visible) p = exp16(load_or_lowest(row + j, visible - j) - splat(max));
        sum = sum + p;
        store(row + j, rounded<S>(p));
      }
      sums[i] = fold_sum(sum);
      if (args.max) {
        at(args.max)[row_of(i)] = max;
        at(args.sum)[row_of(i)] = sums[i];
      }
    }
    // The values of keys behind the tile are no zeros, as they should be for an incomplete block:
    // that can only make a sum -0, see below.
    multiply(s, scratch, z, depth, 1, rows, value_panels, V, keys, depth / kPadK,
             [&](int64_t m, int64_t n, const float* values, int64_t count) {
               // Adding +0 turns a -0 that flushing may leave into what a longer block gives.
               const F16 o = load_n(values, count) / splat(sums[m]) + splat(0.0f);
               store_stored_n(at(s, args.out) + row_of(m) * V + n, o, count);
             });
  }
}

template <class S>
void attention(S s, Workspace workspace, const Attention& args) {
  for (int64_t sequence = 0; sequence < args.sequences.S; ++sequence) {
    for (int64_t group = 0; group < args.row.groups; ++group) {
      attention_of_group(s, workspace, args, sequence, group);
    }
  }
}

template <class S>
void attention_backward_of_group(S s, Workspace scratch, const AttentionBackward& args,
                                 int64_t sequence, int64_t group) {
  using Word = typename S::Word;
  const int64_t W = args.row.key_width, V = args.row.value_width;
  const int64_t heads = args.H / args.row.groups;
  const SequenceBatch& batch = args.sequences;
  const auto* query = at(s, args.query);
  const auto* dout = at(s, args.dout);
  const int64_t first = at(batch.query_offset)[sequence];
  const int64_t T = at(batch.query_offset)[sequence + 1] - first;
  const int64_t depth = padded(T);
  const int64_t rows_max = padded(kQueryTile * heads);
  const auto* cache = at(s, args.cache) + group * args.row.group_stride;
  const int32_t* blocks = at(batch.block_table) + sequence * batch.blocks_max;
  const CachePart<S> key{cache, blocks, args.row.width};
  const CachePart<S> value{cache + args.row.value_offset, blocks, args.row.width};
  auto* key_panels = scratch.take<Word>(packed_words<S>(T, W));
  auto* key_columns = scratch.take<Word>(packed_words<S>(W, T));
  auto* value_panels = scratch.take<Word>(packed_words<S>(T, V));
  pack_rows(s, key_panels, T, W, W / kPadK, key);
  pack_columns(s, key_columns, W, T, depth / kPadK, key);
  pack_rows(s, value_panels, T, V, blocks_of(V), value);
  float* a = scratch.take<float>(rows_max * (W > padded(V) ? W : padded(V)));
  float* p = scratch.take<float>(rows_max * depth);
  float* dp = scratch.take<float>(rows_max * depth);
  auto* query_panels = scratch.take<Word>(packed_words<S>(W, rows_max));
  auto* dout_panels = scratch.take<Word>(packed_words<S>(V, rows_max));
  float* dkey = at(args.dcache) + first * args.row.width + group * args.row.group_stride;
  for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    const int64_t rows = tokens * heads;
    const GroupRows row_of{(first + t0) * args.H + group * heads, heads, args.H};
    const int64_t keys = t0 + tokens;
    const int64_t row_blocks = blocks_of(rows);
    // Probabilities again, and their gradient dp = dout . value.
    for (int64_t i = 0; i < rows; ++i) expand_row(a + i * W, query + row_of(i) * W, W);
    attention_scores(s, scratch, p, depth, a, rows, W, key_panels, keys, args.scale);
    for (int64_t i = 0; i < rows; ++i) expand_row(a + i * padded(V), dout + row_of(i) * V, V);
    multiply(s, scratch, a, padded(V), 1, rows, value_panels, keys, padded(V), blocks_of(V),
             [&](int64_t m, int64_t n, const float* values, int64_t count) {
               store_n(dp + m * depth + n, load_n(values, count), count);
             });
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t visible = t0 + i / heads + 1;
      float* p_row = p + i * depth;
      float* dp_row = dp + i * depth;
      const F16 max = splat(at(args.max)[row_of(i)]), sum = splat(at(args.sum)[row_of(i)]);
      F16 mean = splat(0.0f);
      for (int64_t j = 0; j < padded(keys); j += 16) {
        F16 prob = splat(0.0f);
        if (j < visible) prob = exp16(load_or_lowest(p_row + j, visible - j) - max) / sum;
        store(p_row + j, prob);
        if (j < visible) mean = mean + prob * load_n(dp_row + j, visible - j);
      }
      const F16 average = splat(fold_sum(mean));
      for (int64_t j = 0; j < padded(keys); j += 16) {
        const F16 prob = load(p_row + j);
        F16 ds = splat(0.0f);
        if (j < visible) {
          ds = prob * (load_n(dp_row + j, visible - j) - average) * splat(args.scale);
        }
        store(dp_row + j, rounded<S>(ds));
        store(p_row + j, rounded<S>(prob));
      }
    }
    for (int64_t i = rows; i < row_blocks * kPadK; ++i) {
      for (int64_t j = 0; j < padded(keys); j += 16) {
        store(p + i * depth + j, splat(0.0f));
        store(dp + i * depth + j, splat(0.0f));
      }
    }
    multiply(s, scratch, dp, depth, 1, rows, key_columns, W, padded(keys), depth / kPadK,
             [&](int64_t m, int64_t n, const float* values, int64_t count) {
               store_n(at(args.dquery) + row_of(m) * W + n, load_n(values, count), count);
             });
    pack_columns(s, query_panels, W, rows, row_blocks,
                 [&](int64_t i) { return query + row_of(i) * W; });
    pack_columns(s, dout_panels, V, rows, row_blocks,
                 [&](int64_t i) { return dout + row_of(i) * V; });
    const auto accumulate_at = [&](float* base) {
      return
          [base, width = args.row.width](int64_t m, int64_t n, const float* values, int64_t count) {
            float* to = base + m * width + n;
            store_n(to, load_n(to, count) + load_n(values, count), count);
          };
    };
    multiply(s, scratch, dp, 1, depth, keys, query_panels, W, rows, row_blocks,
             accumulate_at(dkey));
    multiply(s, scratch, p, 1, depth, keys, dout_panels, V, rows, row_blocks,
             accumulate_at(dkey + args.row.value_offset));
  }
}

template <class S>
void attention_backward(S s, Workspace workspace, const AttentionBackward& args) {
  std::memset(at(args.dcache), 0, static_cast<size_t>(args.N * args.row.width) * sizeof(float));
  for (int64_t sequence = 0; sequence < args.sequences.S; ++sequence) {
    for (int64_t group = 0; group < args.row.groups; ++group) {
      attention_backward_of_group(s, workspace, args, sequence, group);
    }
  }
}

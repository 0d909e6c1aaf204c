// Latent attention over a paged cache. Prefill, decode and training are one computation: for each
// query row the scores are whole products, the maximum is exact, the probabilities are rounded as
// operands are, and keys are taken in blocks of 32 counted from position 0. What lies behind a
// query is +0 in the last block, so it does not matter who else is in the tile.

constexpr int64_t kQueryTile = 16;  // Tokens whose queries are worked on together.

template <class S>
struct KeyRows {
  const typename S::Element* cache;
  const int32_t* blocks;  // Of this sequence: the cache row of each block's first token.
  int64_t W;

  const typename S::Element* operator()(int64_t j) const {
    return cache + (blocks[j / kBlockTokens] + j % kBlockTokens) * W;
  }
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
void attention(S s, Workspace workspace, const Attention& args) {
  const int64_t H = args.H, R = args.R, W = args.W;
  const auto* query = at(s, args.query);
  const SequenceBatch& batch = args.sequences;
  for (int64_t sequence = 0; sequence < batch.S; ++sequence) {
    Workspace scratch = workspace;
    const int64_t first = at(batch.query_offset)[sequence];
    const int64_t T = at(batch.query_offset)[sequence + 1] - first;
    const int64_t context = at(batch.context)[sequence];
    const int64_t depth = padded(context);
    const KeyRows<S> key{at(s, args.cache), at(batch.block_table) + sequence * batch.blocks_max, W};
    auto* key_panels = scratch.take<typename S::Word>(packed_words<S>(context, W));
    auto* value_panels = scratch.take<typename S::Word>(packed_words<S>(R, context));
    pack_rows(s, key_panels, context, W, W / kPadK, key);
    pack_columns(s, value_panels, R, context, depth / kPadK, key);
    float* a = scratch.take<float>(kQueryTile * H * W);
    float* z = scratch.take<float>(kQueryTile * H * depth);
    float* sums = scratch.take<float>(kQueryTile * H);
    for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
      const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
      const int64_t rows = tokens * H;
      const int64_t row0 = (first + t0) * H;
      const int64_t keys = context - T + t0 + tokens;  // That the last token of the tile sees.
      for (int64_t i = 0; i < rows; ++i) expand_row(a + i * W, query + (row0 + i) * W, W);
      attention_scores(s, scratch, z, depth, a, rows, W, key_panels, keys, args.scale);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t visible = context - T + t0 + i / H + 1;
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
          at(args.max)[row0 + i] = max;
          at(args.sum)[row0 + i] = sums[i];
        }
      }
      // The values of keys behind the tile are no zeros, as they should be for an incomplete block:
      // that can only make a sum -0, see below.
      multiply(s, scratch, z, depth, 1, rows, value_panels, R, keys, depth / kPadK,
               [&](int64_t m, int64_t n, const float* values, int64_t count) {
                 // Adding +0 turns a -0 that flushing may leave into what a longer block gives.
                 const F16 o = load_n(values, count) / splat(sums[m]) + splat(0.0f);
                 store_stored_n(at(s, args.out) + (row0 + m) * R + n, o, count);
               });
    }
  }
}

template <class S>
void attention_backward(S s, Workspace workspace, const AttentionBackward& args) {
  using Word = typename S::Word;
  const int64_t H = args.H, R = args.R, W = args.W;
  const auto* query = at(s, args.query);
  const auto* dout = at(s, args.dout);
  const SequenceBatch& batch = args.sequences;
  std::memset(at(args.dlatent), 0, static_cast<size_t>(args.N * W) * sizeof(float));
  for (int64_t sequence = 0; sequence < batch.S; ++sequence) {
    Workspace scratch = workspace;
    const int64_t first = at(batch.query_offset)[sequence];
    const int64_t T = at(batch.query_offset)[sequence + 1] - first;
    const int64_t depth = padded(T);
    const int64_t rows_max = padded(kQueryTile * H);
    const KeyRows<S> key{at(s, args.cache), at(batch.block_table) + sequence * batch.blocks_max, W};
    auto* key_panels = scratch.take<Word>(packed_words<S>(T, W));
    auto* value_panels = scratch.take<Word>(packed_words<S>(W, T));
    pack_rows(s, key_panels, T, W, W / kPadK, key);
    pack_columns(s, value_panels, W, T, depth / kPadK, key);
    float* a = scratch.take<float>(rows_max * W);
    float* p = scratch.take<float>(rows_max * depth);
    float* dp = scratch.take<float>(rows_max * depth);
    auto* query_panels = scratch.take<Word>(packed_words<S>(W, rows_max));
    auto* dout_panels = scratch.take<Word>(packed_words<S>(R, rows_max));
    for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
      const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
      const int64_t rows = tokens * H;
      const int64_t row0 = (first + t0) * H;
      const int64_t keys = t0 + tokens;
      const int64_t row_blocks = blocks_of(rows);
      // Probabilities again, and their gradient dp = dout . key over the latent part.
      for (int64_t i = 0; i < rows; ++i) expand_row(a + i * W, query + (row0 + i) * W, W);
      attention_scores(s, scratch, p, depth, a, rows, W, key_panels, keys, args.scale);
      for (int64_t i = 0; i < rows; ++i) expand_row(a + i * W, dout + (row0 + i) * R, R);
      multiply(s, scratch, a, W, 1, rows, key_panels, keys, padded(R), W / kPadK,
               [&](int64_t m, int64_t n, const float* values, int64_t count) {
                 store_n(dp + m * depth + n, load_n(values, count), count);
               });
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t visible = t0 + i / H + 1;
        float* p_row = p + i * depth;
        float* dp_row = dp + i * depth;
        const F16 max = splat(at(args.max)[row0 + i]), sum = splat(at(args.sum)[row0 + i]);
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
      multiply(s, scratch, dp, depth, 1, rows, value_panels, W, padded(keys), depth / kPadK,
               [&](int64_t m, int64_t n, const float* values, int64_t count) {
                 store_n(at(args.dquery) + (row0 + m) * W + n, load_n(values, count), count);
               });
      pack_columns(s, query_panels, W, rows, row_blocks,
                   [&](int64_t i) { return query + (row0 + i) * W; });
      pack_columns(s, dout_panels, R, rows, row_blocks,
                   [&](int64_t i) { return dout + (row0 + i) * R; });
      const auto accumulate = [&](int64_t m, int64_t n, const float* values, int64_t count) {
        float* to = at(args.dlatent) + (first + m) * W + n;
        store_n(to, load_n(to, count) + load_n(values, count), count);
      };
      multiply(s, scratch, dp, 1, depth, keys, query_panels, W, rows, row_blocks, accumulate);
      multiply(s, scratch, p, 1, depth, keys, dout_panels, R, rows, row_blocks, accumulate);
    }
  }
}

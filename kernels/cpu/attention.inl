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

// out[row_of(m), n] = value / sums[m].
template <class S>
struct IntoAttended {
  typename S::Element* out;
  int64_t V;
  GroupRows row_of;
  const float* sums;
  void operator()(int64_t m, int64_t n, const float* values, int64_t count) const {
    // Adding +0 turns a -0 that flushing may leave into what a longer block gives.
    const F16 o = load_n(values, count) / splat(sums[m]) + splat(0.0f);
    store_stored_n(out + row_of(m) * V + n, o, count);
  }
};

// p[0, padded(keys)) = round(exp(scale z - max)) of the first `visible` of `keys` products z and +0
// from there; what z holds there is not looked at. Gives the maximum, and the sum before rounding.
template <class S>
inline void softmax_scores(S, typename S::Element* p, const float* z, float scale, int64_t visible,
                           int64_t keys, float& max, float& sum) {
  const F16 factor = splat(scale), lowest = splat(-3.0e38f);
  const int64_t whole = visible / 16 * 16;
  const F16 tail = whole < visible ? load_or_lowest(z + whole, visible - whole, scale) : lowest;
  F16 largest = tail;
  for (int64_t j = 0; j < whole; j += 16) largest = maximum(largest, load(z + j) * factor);
  max = fold_max(largest);
  F16 total = splat(0.0f);
  for (int64_t j = 0; j < whole; j += 16) {
    const F16 e = exp16(load(z + j) * factor - splat(max));
    total = total + e;
    store_stored(p + j, e);
  }
  int64_t j = whole;
  if (whole < visible) {
    const F16 e = exp16(tail - splat(max));
    total = total + e;
    store_stored(p + j, e);
    j += 16;
  }
  for (; j < padded(keys); j += 16) store_stored(p + j, splat(0.0f));
  sum = fold_sum(total);
}

template <class S>
void attention_of_group(S s, Workspace scratch, const Attention& args, int64_t sequence,
                        int64_t group) {
  using Element = typename S::Element;
  using Word = typename S::Word;
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
  auto* key_panels = scratch.take<Word>(packed_words<S>(context, W));
  auto* value_panels = scratch.take<Word>(packed_words<S>(V, context));
  pack_rows(s, key_panels, context, W, W / kPadK, key);
  pack_columns(s, value_panels, V, context, depth / kPadK, value);
  float* z = scratch.take<float>(kQueryTile * heads * depth);
  auto* p = scratch.take<Element>(kQueryTile * heads * depth);
  float* sums = scratch.take<float>(kQueryTile * heads);
  for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    const int64_t rows = tokens * heads;
    const GroupRows row_of{(first + t0) * args.H + group * heads, heads, args.H};
    const int64_t keys = context - T + t0 + tokens;  // That the last token of the tile sees.
    multiply(s, scratch, LeftRows{[&](int64_t i) { return query + row_of(i) * W; }}, rows,
             key_panels, keys, W, W / kPadK, IntoFloats{z, depth});
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t visible = context - T + t0 + i / heads + 1;
      float max = 0;
      softmax_scores(s, p + i * depth, z + i * depth, args.scale, visible, keys, max, sums[i]);
      if (args.max) {
        at(args.max)[row_of(i)] = max;
        at(args.sum)[row_of(i)] = sums[i];
      }
    }
    // Values of keys behind the tile that share its last block are no zeros: they meet zeros.
    multiply(s, scratch, LeftRows{[&](int64_t i) -> const Element* { return p + i * depth; }}, rows,
             value_panels, V, keys, depth / kPadK,
             IntoAttended<S>{at(s, args.out), V, row_of, sums});
  }
}

// Attends from the few queries of a sequence's group where a faster way is known for them.
template <class S>
class FewQueries {
 public:
  bool attend(Workspace, const Attention&, int64_t, int64_t) { return false; }
};
#if defined(TROUPE_AMX)
#include "kernels/cpu/attention_amx.inl"
#endif

template <class S>
void attention(S s, Workspace workspace, const Attention& args) {
  FewQueries<S> few;
  for (int64_t sequence = 0; sequence < args.sequences.S; ++sequence) {
    for (int64_t group = 0; group < args.row.groups; ++group) {
      if (few.attend(workspace, args, sequence, group)) continue;
      attention_of_group(s, workspace, args, sequence, group);
    }
  }
}

struct IntoQueryGradient {
  float* dquery;
  int64_t W;
  GroupRows row_of;
  void operator()(int64_t m, int64_t n, const float* values, int64_t count) const {
    store_n(dquery + row_of(m) * W + n, load_n(values, count), count);
  }
};

template <class S>
void attention_backward_of_group(S s, Workspace scratch, const AttentionBackward& args,
                                 int64_t sequence, int64_t group) {
  using Element = typename S::Element;
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
  float* p = scratch.take<float>(rows_max * depth);
  float* dp = scratch.take<float>(rows_max * depth);
  auto* p_stored = scratch.take<Element>(rows_max * depth);
  auto* ds_stored = scratch.take<Element>(rows_max * depth);
  auto* query_panels = scratch.take<Word>(packed_words<S>(W, rows_max));
  auto* dout_panels = scratch.take<Word>(packed_words<S>(V, rows_max));
  float* dkey = at(args.dcache) + first * args.row.width + group * args.row.group_stride;
  for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    const int64_t rows = tokens * heads;
    const GroupRows row_of{(first + t0) * args.H + group * heads, heads, args.H};
    const int64_t keys = t0 + tokens;
    const int64_t row_blocks = blocks_of(rows);
    const auto query_row = [&](int64_t i) { return query + row_of(i) * W; };
    const auto dout_row = [&](int64_t i) { return dout + row_of(i) * V; };
    // Probabilities again, and their gradient dp = dout . value.
    multiply(s, scratch, LeftRows{query_row}, rows, key_panels, keys, W, W / kPadK,
             IntoFloats{p, depth});
    multiply(s, scratch, LeftRows{dout_row}, rows, value_panels, keys, V, blocks_of(V),
             IntoFloats{dp, depth});
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t visible = t0 + i / heads + 1;
      float* p_row = p + i * depth;
      float* dp_row = dp + i * depth;
      Element* p_to = p_stored + i * depth;
      Element* ds_to = ds_stored + i * depth;
      const F16 max = splat(at(args.max)[row_of(i)]), sum = splat(at(args.sum)[row_of(i)]);
      F16 mean = splat(0.0f);
      for (int64_t j = 0; j < visible; j += 16) {
        const F16 score = load_or_lowest(p_row + j, visible - j, args.scale);
        const F16 prob = exp16(score - max) / sum;
        store(p_row + j, prob);
        mean = mean + prob * load_n(dp_row + j, visible - j);
      }
      const F16 average = splat(fold_sum(mean));
      for (int64_t j = 0; j < padded(keys); j += 16) {
        F16 prob = splat(0.0f), ds = splat(0.0f);
        if (j < visible) {
          prob = load(p_row + j);
          ds = prob * (load_n(dp_row + j, visible - j) - average) * splat(args.scale);
        }
        store_stored(ds_to + j, ds);
        store_stored(p_to + j, prob);
      }
    }
    const auto p_of = [&](int64_t i) -> const Element* { return p_stored + i * depth; };
    const auto ds_of = [&](int64_t i) -> const Element* { return ds_stored + i * depth; };
    multiply(s, scratch, LeftRows{ds_of}, rows, key_columns, W, padded(keys), depth / kPadK,
             IntoQueryGradient{at(args.dquery), W, row_of});
    pack_columns(s, query_panels, W, rows, row_blocks, query_row);
    pack_columns(s, dout_panels, V, rows, row_blocks, dout_row);
    multiply(s, scratch, LeftColumns{ds_of}, keys, query_panels, W, rows, row_blocks,
             AddToFloats{dkey, args.row.width});
    multiply(s, scratch, LeftColumns{p_of}, keys, dout_panels, V, rows, row_blocks,
             AddToFloats{dkey + args.row.value_offset, args.row.width});
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

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

// Asks for what will be read soon: rows of a cache are lines from memory, few at a place.
template <class Element>
inline void ask_for(const Element* row, int64_t width) {
  for (int64_t i = 0; i < width; i += 64 / static_cast<int64_t>(sizeof(Element))) {
    __builtin_prefetch(row + i, 0, 3);
  }
}

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

// Scores of keys j .. j + 15 of which the first `count` > 0 are visible; no maximum picks the
// others.
inline F16 visible_scores(const float* z, F16 factor, int64_t count) {
  alignas(64) static constexpr float kLane[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                  8, 9, 10, 11, 12, 13, 14, 15};
  return select_less(load(kLane), splat(static_cast<float>(count)), load(z) * factor,
                     splat(-3.0e38f));
}

// The largest of the first `visible` > 0 products z of a row, scaled.
inline float largest_score(const float* z, F16 factor, int64_t visible) {
  const int64_t whole = visible / 16 * 16;
  F16 largest = splat(-3.0e38f);
  if (whole < visible) largest = visible_scores(z + whole, factor, visible - whole);
  for (int64_t j = 0; j < whole; j += 16) largest = maximum(largest, load(z + j) * factor);
  return fold_max(largest);
}

// Sixteen lanes of each of some rows, which are worked on side by side: an exponential is a long
// chain of operations, and what waits for operands leaves a processor no room to look for others.
constexpr int kRowsTogether = 4;
struct F16Rows {
  F16 row[kRowsTogether];
};
template <class F>
[[gnu::always_inline]] inline F16Rows each_row(F&& f) {
  F16Rows y;
  for (int i = 0; i < kRowsTogether; ++i) y.row[i] = f(i);
  return y;
}
[[gnu::always_inline]] inline F16Rows operator+(const F16Rows& a, const F16Rows& b) {
  return each_row([&](int i) { return a.row[i] + b.row[i]; });
}
[[gnu::always_inline]] inline F16Rows operator+(const F16Rows& a, F16 b) {
  return each_row([&](int i) { return a.row[i] + b; });
}
[[gnu::always_inline]] inline F16Rows operator+(F16 a, const F16Rows& b) {
  return each_row([&](int i) { return a + b.row[i]; });
}
[[gnu::always_inline]] inline F16Rows operator-(const F16Rows& a, const F16Rows& b) {
  return each_row([&](int i) { return a.row[i] - b.row[i]; });
}
[[gnu::always_inline]] inline F16Rows operator-(const F16Rows& a, F16 b) {
  return each_row([&](int i) { return a.row[i] - b; });
}
[[gnu::always_inline]] inline F16Rows operator*(const F16Rows& a, const F16Rows& b) {
  return each_row([&](int i) { return a.row[i] * b.row[i]; });
}
[[gnu::always_inline]] inline F16Rows operator*(const F16Rows& a, F16 b) {
  return each_row([&](int i) { return a.row[i] * b; });
}
[[gnu::always_inline]] inline F16Rows operator*(F16 a, const F16Rows& b) {
  return each_row([&](int i) { return a * b.row[i]; });
}
[[gnu::always_inline]] inline F16Rows operator/(const F16Rows& a, const F16Rows& b) {
  return each_row([&](int i) { return a.row[i] / b.row[i]; });
}
[[gnu::always_inline]] inline F16Rows maximum(F16 a, const F16Rows& b) {
  return each_row([&](int i) { return maximum(a, b.row[i]); });
}
[[gnu::always_inline]] inline F16Rows minimum(F16 a, const F16Rows& b) {
  return each_row([&](int i) { return minimum(a, b.row[i]); });
}
[[gnu::always_inline]] inline F16Rows select_less(const F16Rows& a, F16 b, F16 x,
                                                  const F16Rows& y) {
  return each_row([&](int i) { return select_less(a.row[i], b, x, y.row[i]); });
}
[[gnu::always_inline]] inline F16Rows power_of_two(const F16Rows& n) {
  return each_row([&](int i) { return power_of_two(n.row[i]); });
}

// p[0, padded(keys)) = round(exp(scale z - max)) of the first `visible` of `keys` products z and +0
// from there; what z holds there is not looked at. Gives the sum before rounding. The first `done`
// keys already are, and `total` is what they add up to.
template <class S>
inline float softmax_row_from(S, int64_t done, F16 total, typename S::Element* p, const float* z,
                              F16 factor, F16 max, int64_t visible, int64_t keys) {
  int64_t j = done;
  for (; j < visible; j += 16) {
    const F16 e = exp16(visible_scores(z + j, factor, visible - j) - max);
    total = total + e;
    store_stored(p + j, e);
  }
  for (; j < padded(keys); j += 16) store_stored(p + j, splat(0.0f));
  return fold_sum(total);
}

// Of rows of which each sees as many keys as the one before it, or more. Calls step() now and then,
// so that the caller can ask for memory in between.
template <class S, class Visible, class Step>
inline void softmax_rows(S s, typename S::Element* p, int64_t p_ld, const float* z, int64_t z_ld,
                         float scale, int64_t rows, Visible&& visible_of, int64_t keys, float* max,
                         float* sum, Step&& step) {
  const F16 factor = splat(scale);
  for (int64_t i = 0; i < rows; ++i) max[i] = largest_score(z + i * z_ld, factor, visible_of(i));
  int64_t i0 = 0;
  for (; i0 + kRowsTogether <= rows; i0 += kRowsTogether) {
    const F16Rows maxima = each_row([&](int i) { return splat(max[i0 + i]); });
    F16Rows total = each_row([&](int) { return splat(0.0f); });
    const float* from = z + i0 * z_ld;
    typename S::Element* to = p + i0 * p_ld;
    const int64_t fewest = visible_of(i0);
    const auto add = [&](int64_t j, const F16Rows& score) __attribute__((always_inline)) {
      const F16Rows e = exp16(score - maxima);
      total = total + e;
      for (int i = 0; i < kRowsTogether; ++i) store_stored(to + i * p_ld + j, e.row[i]);
    };
    int64_t j = 0;
    for (; j + 16 <= fewest; j += 16) {
      step();
      add(j, each_row([&](int i) { return load(from + i * z_ld + j) * factor; }));
    }
    step();
    if (j < fewest) {
      add(j, each_row([&](int i) {
            return visible_scores(from + i * z_ld + j, factor, visible_of(i0 + i) - j);
          }));
      j += 16;
    }
    for (int i = 0; i < kRowsTogether; ++i) {
      sum[i0 + i] = softmax_row_from(s, j, total.row[i], to + i * p_ld, from + i * z_ld, factor,
                                     maxima.row[i], visible_of(i0 + i), keys);
    }
  }
  for (; i0 < rows; ++i0) {
    sum[i0] = softmax_row_from(s, 0, splat(0.0f), p + i0 * p_ld, z + i0 * z_ld, factor,
                               splat(max[i0]), visible_of(i0), keys);
  }
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
  // The next group's keys, or those of the next sequence.
  CachePart<S> next_key{cache + args.row.group_stride, blocks, args.row.width};
  int64_t next_context = context;
  if (group + 1 == args.row.groups) {
    next_key = {at(s, args.cache), blocks + batch.blocks_max, args.row.width};
    next_context = sequence + 1 < batch.S ? at(batch.context)[sequence + 1] : 0;
  }
  pack_rows(s, key_panels, context, W, W / kPadK, [&](int64_t j) {
    ask_for(value(j), V);
    return key(j);
  });
  pack_columns(s, value_panels, V, context, depth / kPadK, [&](int64_t j) {
    if (j < next_context) ask_for(next_key(j), W);
    return value(j);
  });
  float* z = scratch.take<float>(kQueryTile * heads * depth);
  auto* p = scratch.take<Element>(kQueryTile * heads * depth);
  float* maxima = scratch.take<float>(kQueryTile * heads);
  float* sums = scratch.take<float>(kQueryTile * heads);
  for (int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const int64_t tokens = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    const int64_t rows = tokens * heads;
    const GroupRows row_of{(first + t0) * args.H + group * heads, heads, args.H};
    const int64_t keys = context - T + t0 + tokens;  // That the last token of the tile sees.
    multiply(s, scratch, LeftRows{[&](int64_t i) { return query + row_of(i) * W; }}, rows,
             key_panels, keys, W, W / kPadK, IntoFloats{z, depth});
    const auto visible_of = [&](int64_t i) { return context - T + t0 + i / heads + 1; };
    softmax_rows(s, p, depth, z, depth, args.scale, rows, visible_of, keys, maxima, sums, [] {});
    for (int64_t i = 0; args.max && i < rows; ++i) {
      at(args.max)[row_of(i)] = maxima[i];
      at(args.sum)[row_of(i)] = sums[i];
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
#include "kernels/cpu/attention_strips_amx.inl"

inline bool attend_in_strips(Bf16, Workspace workspace, const Attention& args, int64_t sequence,
                             int64_t group) {
  if (!is_done_in_strips(args.row)) return false;
  attention_in_strips(workspace, args, sequence, group);
  return true;
}
#else
inline bool attend_in_strips(Bf16, Workspace, const Attention&, int64_t, int64_t) { return false; }
#endif
inline bool attend_in_strips(Fp32, Workspace, const Attention&, int64_t, int64_t) { return false; }

template <class S>
void attention(S s, Workspace workspace, const Attention& args) {
  FewQueries<S> few;
  for (int64_t sequence = 0; sequence < args.sequences.S; ++sequence) {
    for (int64_t group = 0; group < args.row.groups; ++group) {
      if (few.attend(workspace, args, sequence, group)) continue;
      if (attend_in_strips(s, workspace, args, sequence, group)) continue;
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
        const F16 score = visible_scores(p_row + j, splat(args.scale), visible - j);
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

#if defined(TROUPE_AMX)
inline bool attend_backward_in_strips(Bf16, Workspace workspace, const AttentionBackward& args,
                                      int64_t sequence, int64_t group) {
  if (!is_done_in_strips(args.row)) return false;
  attention_backward_in_strips(workspace, args, sequence, group);
  return true;
}
#else
inline bool attend_backward_in_strips(Bf16, Workspace, const AttentionBackward&, int64_t, int64_t) {
  return false;
}
#endif
inline bool attend_backward_in_strips(Fp32, Workspace, const AttentionBackward&, int64_t, int64_t) {
  return false;
}

template <class S>
void attention_backward(S s, Workspace workspace, const AttentionBackward& args) {
  std::memset(at(args.dcache), 0, static_cast<size_t>(args.N * args.row.width) * sizeof(float));
  for (int64_t sequence = 0; sequence < args.sequences.S; ++sequence) {
    for (int64_t group = 0; group < args.row.groups; ++group) {
      if (attend_backward_in_strips(s, workspace, args, sequence, group)) continue;
      attention_backward_of_group(s, workspace, args, sequence, group);
    }
  }
}

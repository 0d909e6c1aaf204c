// Attention of a few queries on AMX tiles: what decoding does. Its products are those of
// attention.inl, with nothing packed: keys are tiles as they lie in the cache, met from the left,
// and values become tiles on their way from the cache to the product.
//
// Scores and probabilities lie by blocks of keys, a block's rows (queries) side by side: as tiles
// give and take them, and without the strides of whole pages that rows of all keys would have.

constexpr int64_t kFewQueries = 16;  // Rows of one tile.
constexpr int64_t kTileWords = 256;

// The rows of a sequence's group on their way from memory. Those that will be worked on next are
// asked for while the present ones are worked on, a few lines at a time and in all phases alike:
// memory then is never idle, and neither do its requests come in bursts that loads of the present
// rows would wait behind.
class ComingRows {
 public:
  ComingRows() = default;  // None.
  ComingRows(const CachePart<Bf16>& rows, int64_t context, int64_t lines)
      : rows_(rows), context_(context), lines_(lines) {}

  // How many of the first `limit` rows have not been asked for.
  int64_t missing(int64_t limit) const {
    const int64_t end = limit < context_ ? limit : context_;
    return row_ < end ? end - row_ : 0;
  }
  void ask(int64_t count) {
    for (; count > 0 && row_ < context_; --count) {
      const uint16_t* row = rows_(row_++);
      for (int64_t line = 0; line < lines_; ++line) __builtin_prefetch(row + line * 32, 0, 2);
    }
  }
  // The next `steps` calls of step() ask for `count` rows.
  void spread(int64_t count, int64_t steps) {
    count_ = count;
    steps_ = steps;
    credit_ = 0;
  }
  void step() {
    for (credit_ += count_; credit_ >= steps_; credit_ -= steps_) ask(1);
  }

 private:
  CachePart<Bf16> rows_{};
  int64_t context_ = 0;
  int64_t lines_ = 0;  // Of a row.
  int64_t row_ = 0;
  int64_t count_ = 0;
  int64_t steps_ = 1;
  int64_t credit_ = 0;
};
// The parts of an attention's time that its first two phases take.
constexpr double kPartOfScores = 0.42, kPartOfSoftmax = 0.22;
// Of a second cache of 2 MiB, for the rows that are worked on and the next ones: what comes too
// early is gone again when it is needed.
constexpr int64_t kRowBytesMax = 1536 << 10;
// How far rows that come while their keys are met are ahead of them.
constexpr int64_t kRowsAhead = 64;

// Scores of a few queries. Those of keys [16 i, 16 i + 16) and row r are
// z[(i * rows + r) * 16, + 16); largest[r * 16 + lane] is the maximum of the lane over whole
// sixteens of visible keys.
struct FewScores {
  float* z;
  float* largest;
  int64_t rows;
  float scale;
  const int64_t* visible;  // By row.
  int64_t seen_by_all;     // The least of those.

  float* of(int64_t j, int64_t row) const { return z + (j * rows + row * 16); }

  // Of keys [j, j + 16) from their products, a row of 16 queries each.
  void take(int64_t j, const float* products) const {
    alignas(64) float across[kTileWords];
    if (rows <= 8) {
      transpose_eight(across, products);
    } else {
      transpose_words(reinterpret_cast<uint32_t*>(across),
                      reinterpret_cast<const uint32_t*>(products), 16);
    }
    // Read once: for all that is known here, a store might change a member.
    const F16 factor = splat(scale);
    float* to = of(j, 0);
    float* lanes = largest;
    for (int64_t row = 0, end = rows; row < end; ++row) {
      const F16 score = load(across + row * 16) * factor;
      store(to + row * 16, score);
      if (j + 16 > seen_by_all && j + 16 > visible[row]) continue;
      store(lanes + row * 16, maximum(load(lanes + row * 16), score));
    }
  }
};

// `panels` has space for the queries' panel, `tail` for a block of keys: behind the last key the
// cache may end.
template <class Query>
inline void scores_of_few(uint32_t* panels, uint16_t* tail, const FewScores& scores, Query&& query,
                          const CachePart<Bf16>& key, int64_t keys, int64_t W, ComingRows& coming,
                          int64_t num_coming) {
  configure_tiles();
  const int64_t num_blocks = W / kPadK;
  pack_rows(Bf16{}, panels, scores.rows, W, num_blocks, query);
  for (int64_t i = 0; i < scores.rows * 16; i += 16) store(scores.largest + i, splat(-3.0e38f));
  alignas(64) float products[4 * kTileWords];
  coming.spread(num_coming, (keys + 63) / 64 * num_blocks * 2);
  for (int64_t j0 = 0; j0 < keys; j0 += 64) {
    const uint16_t* from[2];
    int64_t width[2];
    for (int64_t i = 0; i < 2; ++i) {
      const int64_t j = j0 + i * 32, count = keys - j;
      if (count >= 32) {
        from[i] = key(j);
        width[i] = key.width;
      } else if (count > 0) {
        for (int64_t r = 0; r < count; ++r) {
          std::memcpy(tail + r * W, key(j) + r * key.width, static_cast<size_t>(W) * 2);
        }
        std::memset(tail + count * W, 0, static_cast<size_t>((32 - count) * W) * 2);
        from[i] = tail;
        width[i] = W;
      } else {  // What it gives is not looked at.
        from[i] = from[0];
        width[i] = width[0];
      }
    }
    TROUPE_TILE_FENCE();
    TROUPE_TILE_ZERO(0);
    TROUPE_TILE_ZERO(1);
    TROUPE_TILE_ZERO(2);
    TROUPE_TILE_ZERO(3);
    for (int64_t block = 0; block < num_blocks; ++block) {
      const uint16_t* upper = from[0] + block * kPadK;
      const uint16_t* lower = from[1] + block * kPadK;
      TROUPE_TILE_LOAD(6, panels + block * kTileWords, 64);
      TROUPE_TILE_LOAD(4, upper, width[0] * 2);
      TROUPE_TILE_DOT(0, 4, 6);
      TROUPE_TILE_LOAD(5, upper + 16 * width[0], width[0] * 2);
      TROUPE_TILE_DOT(1, 5, 6);
      coming.step();
      TROUPE_TILE_LOAD(4, lower, width[1] * 2);
      TROUPE_TILE_DOT(2, 4, 6);
      TROUPE_TILE_LOAD(5, lower + 16 * width[1], width[1] * 2);
      TROUPE_TILE_DOT(3, 5, 6);
      coming.step();
    }
    TROUPE_TILE_STORE(0, products, 64);
    TROUPE_TILE_STORE(1, products + kTileWords, 64);
    TROUPE_TILE_STORE(2, products + 2 * kTileWords, 64);
    TROUPE_TILE_STORE(3, products + 3 * kTileWords, 64);
    const int64_t end = padded(keys) < j0 + 64 ? padded(keys) : j0 + 64;
    for (int64_t j = j0; j < end; j += 16) scores.take(j, products + (j - j0) * 16);
  }
}

// What softmax_rows() of attention.inl does, for all rows: p holds a tile of 16 rows for each
// block of keys, of which `rows` are written.
inline void softmax_of_few(uint16_t* p, const FewScores& scores, int64_t keys, float* max,
                           float* sum, ComingRows& coming, int64_t num_coming) {
  const F16 lowest = splat(-3.0e38f);
  const int64_t rows = scores.rows;
  alignas(64) float total[kTileWords];
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t visible = scores.visible[row], whole = visible / 16 * 16;
    const F16 tail =
        whole < visible ? first_n(load(scores.of(whole, row)), lowest, visible - whole) : lowest;
    max[row] = fold_max(maximum(tail, load(scores.largest + row * 16)));
    store(total + row * 16, splat(0.0f));
  }
  coming.spread(num_coming, padded(keys) / kPadK * rows);
  for (int64_t j = 0; j < keys; j += kPadK) {
    uint16_t* to = p + j * 16;
    if (j + kPadK <= scores.seen_by_all) {
      for (int64_t row = 0; row < rows; ++row) {
        const F16 largest = splat(max[row]);
        const F16 early = exp16(load(scores.of(j, row)) - largest);
        const F16 late = exp16(load(scores.of(j + 16, row)) - largest);
        store(total + row * 16, load(total + row * 16) + early + late);
        store_rounded(to + row * kPadK, early, late);
        coming.step();
      }
      continue;
    }
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t half = 0; half < kPadK; half += 16) {
        const int64_t count = scores.visible[row] - j - half;
        F16 e = splat(0.0f);
        if (count > 0) {
          e = exp16(first_n(load(scores.of(j + half, row)), lowest, count) - splat(max[row]));
          store(total + row * 16, load(total + row * 16) + e);
        }
        store_bf16(to + row * kPadK + half, e);
      }
      coming.step();
    }
  }
  for (int64_t row = 0; row < rows; ++row) sum[row] = fold_sum(load(total + row * 16));
}

// The products of probabilities (a tile for each block of keys) with values, given to emit in runs
// of 16.
template <class Emit>
inline void attend_few(const uint16_t* p, int64_t rows, const CachePart<Bf16>& value, int64_t keys,
                       int64_t V, const Emit& emit, ComingRows& coming, int64_t num_coming) {
  configure_tiles();
  alignas(64) static constexpr uint16_t kNothing[64] = {};
  alignas(64) uint32_t right[4 * kTileWords] = {};
  alignas(64) float products[4 * kTileWords];
  coming.spread(num_coming, (V + 63) / 64 * padded(keys) / 2);
  for (int64_t n = 0; n < V; n += 64) {
    const bool is_whole = V - n >= 64;
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
        uint32_t* to = right + pair * 16;
        if (is_whole) {
          interleave_quarters(to, to + kTileWords, low, high);
          interleave_quarters(to + 2 * kTileWords, to + 3 * kTileWords, low + 32, high + 32);
        } else {
          for (int64_t i = 0; i < panels; ++i) {
            interleave_halves(to + i * kTileWords, low + i * 16, high + i * 16);
          }
        }
        coming.step();
      }
      TROUPE_TILE_FENCE();
      TROUPE_TILE_LOAD(4, p + j0 * 16, 64);
      TROUPE_TILE_LOAD(5, right, 64);
      TROUPE_TILE_DOT(0, 4, 5);
      TROUPE_TILE_LOAD(6, right + kTileWords, 64);
      TROUPE_TILE_DOT(1, 4, 6);
      TROUPE_TILE_LOAD(7, right + 2 * kTileWords, 64);
      TROUPE_TILE_DOT(2, 4, 7);
      TROUPE_TILE_LOAD(5, right + 3 * kTileWords, 64);
      TROUPE_TILE_DOT(3, 4, 5);
    }
    TROUPE_TILE_STORE(0, products, 64);
    TROUPE_TILE_STORE(1, products + kTileWords, 64);
    TROUPE_TILE_STORE(2, products + 2 * kTileWords, 64);
    TROUPE_TILE_STORE(3, products + 3 * kTileWords, 64);
    for (int64_t row = 0; row < rows; ++row) {
      float* of_row = products + row * 16;
      if (is_whole) {
        join_quarters(of_row, of_row + kTileWords);
        join_quarters(of_row + 2 * kTileWords, of_row + 3 * kTileWords);
      }
      for (int64_t i = 0; i < panels; ++i) {
        const int64_t count = V - n - i * 16 < 16 ? V - n - i * 16 : 16;
        emit(row, n + i * 16, of_row + i * kTileWords, count);
      }
    }
  }
}

// Queries of one group of a sequence, where there are no more than kFewQueries. Rows of `present`
// that have not come yet do so while keys are met; those of `next` use the time that is left.
inline void attention_of_few(Workspace scratch, const Attention& args, int64_t sequence,
                             int64_t group, ComingRows& present, ComingRows& next) {
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
  auto* tail = scratch.take<uint16_t>(kPadK * W);
  float* z = scratch.take<float>(rows * depth);
  auto* p = scratch.take<uint16_t>(kFewQueries * depth);
  alignas(64) float largest[kFewQueries * 16];
  int64_t visible[kFewQueries];
  float max[kFewQueries], sums[kFewQueries];
  for (int64_t i = 0; i < rows; ++i) visible[i] = context - T + i / heads + 1;
  const FewScores scores{z, largest, rows, args.scale, visible, visible[0]};
  const auto query_row = [&](int64_t i) { return query + row_of(i) * W; };
  // Groups lie side by side in a row, so that the present and the next do not share cache sets.
  const int64_t room = kRowBytesMax / (args.row.width * 2) - (args.row.groups == 1 ? context : 0);
  const int64_t limit = room < kRowsAhead ? kRowsAhead : room;
  if (present.missing(context) > 0) {
    present.ask(kRowsAhead);
    scores_of_few(panels, tail, scores, query_row, key, context, W, present,
                  present.missing(context));
  } else {
    scores_of_few(panels, tail, scores, query_row, key, context, W, next,
                  static_cast<int64_t>(kPartOfScores * static_cast<double>(next.missing(limit))));
  }
  softmax_of_few(p, scores, context, max, sums, next,
                 static_cast<int64_t>(kPartOfSoftmax / (1 - kPartOfScores) *
                                      static_cast<double>(next.missing(limit))));
  for (int64_t i = 0; args.max && i < rows; ++i) {
    at(args.max)[row_of(i)] = max[i];
    at(args.sum)[row_of(i)] = sums[i];
  }
  attend_few(p, rows, value, context, V, IntoAttended<Bf16>{at(s, args.out), V, row_of, sums}, next,
             next.missing(limit));
}

// Does what attention_of_group() does where it is worth it. One object follows a whole batch.
template <>
class FewQueries<Bf16> {
 public:
  bool attend(Workspace workspace, const Attention& args, int64_t sequence, int64_t group) {
    const int32_t* offset = at(args.sequences.query_offset) + sequence;
    if ((offset[1] - offset[0]) * (args.H / args.row.groups) > kFewQueries) return false;
    if (sequence != sequence_ || group != group_) coming_ = rows_of(args, sequence, group);
    const bool is_last_group = group + 1 == args.row.groups;
    sequence_ = sequence + (is_last_group ? 1 : 0);
    group_ = is_last_group ? 0 : group + 1;
    ComingRows next = rows_of(args, sequence_, group_);
    attention_of_few(workspace, args, sequence, group, coming_, next);
    coming_ = next;
    return true;
  }

 private:
  static ComingRows rows_of(const Attention& args, int64_t sequence, int64_t group) {
    const SequenceBatch& batch = args.sequences;
    if (sequence >= batch.S) return {};
    const int64_t value_end = args.row.value_offset + args.row.value_width;
    const int64_t end = value_end > args.row.key_width ? value_end : args.row.key_width;
    return {{at(Bf16{}, args.cache) + group * args.row.group_stride,
             at(batch.block_table) + sequence * batch.blocks_max, args.row.width},
            at(batch.context)[sequence],
            (end * 2 + 63) / 64};
  }

  int64_t sequence_ = -1, group_ = -1;  // Whose rows are coming.
  ComingRows coming_;
};

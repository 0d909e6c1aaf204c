// AttentionBackward of attention.h on CUDA, in fixed orders of sums: first the
// queries' gradients, sixteen rows a block, then those of keys and of values,
// sixteen keys a block.
#include "kernels/attention.h"
#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/elementary.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kWarpKeys = kPartKeys / kWarps, kKeyFragments = kWarpKeys / 8;
constexpr int kRowsOfWarp = kTileRows / kWarps;
constexpr int kFloatsLd = kPartKeys + 4,
              kHalvesLd = kPartKeys + 8;  // Away from each other's banks.
constexpr int kTileKeys = 16;
constexpr int kStepRows = 16 * kWarps, kStepLd = kStepRows + 8;
constexpr int kBlocksMax = 1024;

}  // namespace

// A block has 8 kFragments columns for each of its warps.
TROUPE_DEVICE int first_column(int fragments) {
  const int warps = static_cast<int>(block_index().y) * kWarps + thread_index() / kWarp;
  return warps * fragments * 8;
}

// Element k of a row, 0 behind its end and of a row that is not there.
TROUPE_DEVICE uint16_t element(const uint16_t* row, int k, int width) {
  return row != nullptr && k < width ? row[k] : static_cast<uint16_t>(0);
}
TROUPE_DEVICE uint32_t elements(const uint16_t* row, int k, int width) {
  return pair_of(element(row, k, width), element(row, k + 1, width));
}

// sums += rows (16, width) times others (8 kFragments, width)^T. A lane names
// rows lane / 4 and lane / 4 + 8, and of others row lane / 4 of every eight.
template <int kFragments>
TROUPE_DEVICE void multiply(const uint16_t* const (&rows)[2],
                            const uint16_t* const (&others)[kFragments], int width,
                            float (&sums)[kFragments][4]) {
  const int lane = thread_index() % kWarp;
  TROUPE_NO_UNROLL
  for (int k0 = 0; k0 < width; k0 += 16) {
    const int k = k0 + lane % 4 * 2;
    uint32_t a[4];
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) a[i] = elements(rows[i % 2], k + i / 2 * 8, width);
    TROUPE_UNROLL
    for (int f = 0; f < kFragments; ++f) {
      const uint32_t b[2] = {elements(others[f], k, width), elements(others[f], k + 8, width)};
      mma_m16n8k16_bf16(sums[f], a, b);
    }
  }
}

// The fragment of sixteen rows, two and two of which stand side by side, and
// eight columns. row_of(i) is a lane's row i at its first column, or null.
template <class RowOf>
TROUPE_DEVICE void load_columns(uint32_t (&b)[2], const RowOf& row_of, bool is_inside, int column) {
  uint16_t v[4];
  TROUPE_UNROLL
  for (int i = 0; i < 4; ++i) {
    const uint16_t* row = row_of(i);
    v[i] = is_inside && row != nullptr ? row[column] : static_cast<uint16_t>(0);
  }
  b[0] = pair_of(v[0], v[1]);
  b[1] = pair_of(v[2], v[3]);
}

TROUPE_DEVICE const uint16_t* key_of(const AttentionBackward& args, int sequence, int group,
                                     int j) {
  return cache_row(args.cache, args.row, args.sequences, sequence, j) +
         group * args.row.group_stride;
}

// products (16, keys) = factor * rows (16, width) times what the cache has of a
// part's keys, `offset` elements into them. Of rows and keys that there are.
TROUPE_DEVICE void multiply_part(const AttentionBackward& args, const TileShape& shape,
                                 const Tile& tile, int first, int keys, Stored rows, int width,
                                 int64_t offset, float factor, float* products) {
  const int lane = thread_index() % kWarp, begin = thread_index() / kWarp * kWarpKeys;
  if (begin >= keys) return;
  const uint16_t* row[2];
  TROUPE_UNROLL
  for (int i = 0; i < 2; ++i) {
    const int r = lane / 4 + i * 8;
    row[i] = tile.has(shape, r) ? bf16_at(rows) + tile.row(shape, args.H, r) * width : nullptr;
  }
  const uint16_t* key[kKeyFragments];
  TROUPE_UNROLL
  for (int f = 0; f < kKeyFragments; ++f) {
    const int j = begin + f * 8 + lane / 4;
    key[f] = j < keys ? key_of(args, tile.sequence, tile.group, first + j) + offset : nullptr;
  }
  float sums[kKeyFragments][4] = {};
  multiply(row, key, width, sums);
  TROUPE_UNROLL
  for (int f = 0; f < kKeyFragments; ++f) {
    TROUPE_UNROLL
    for (int e = 0; e < 4; ++e) {
      const int r = lane / 4 + e / 2 * 8, j = begin + f * 8 + lane % 4 * 2 + e % 2;
      products[r * kFloatsLd + j] = factor * sums[f][e];
    }
  }
}
// A part's scores and products of dout and values.
TROUPE_DEVICE void make_part(const AttentionBackward& args, const TileShape& shape,
                             const Tile& tile, int first, int keys, float* scores, float* dps) {
  multiply_part(args, shape, tile, first, keys, args.query, static_cast<int>(args.row.key_width), 0,
                args.scale, scores);
  multiply_part(args, shape, tile, first, keys, args.dout, static_cast<int>(args.row.value_width),
                args.row.value_offset, 1.0f, dps);
}

// dquery of tiles of rows, and of each row the sum over its keys of p dp.
template <int kFragments>
TROUPE_KERNEL(kThreads)
attention_query_gradient_kernel(AttentionBackward args, TileShape shape, Device<float> dots) {
  TROUPE_SHARED(float, scores, kTileRows* kFloatsLd);
  TROUPE_SHARED(float, dps, kTileRows* kFloatsLd);
  uint16_t* const ds = reinterpret_cast<uint16_t*>(scores);  // In the place of its row's scores.
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int column0 = first_column(kFragments), width = static_cast<int>(args.row.key_width);
  TileFinder finder;
  Tile tile;
  for (int64_t index = block_index().x;
       finder.find(args.sequences, shape, static_cast<int>(args.row.groups), index, tile);
       index += grid_extent().x) {
    const int visible = tile.visible(tile.tokens - 1);
    float max[kRowsOfWarp], sum[kRowsOfWarp], dot[kRowsOfWarp] = {};
    int seen[kRowsOfWarp];
    TROUPE_UNROLL
    for (int i = 0; i < kRowsOfWarp; ++i) {
      const int r = warp * kRowsOfWarp + i;
      const bool is_there = tile.has(shape, r);
      const int64_t row = is_there ? tile.row(shape, args.H, r) : 0;
      max[i] = is_there ? at(args.max)[row] : 0;
      sum[i] = is_there ? at(args.sum)[row] : 1;
      seen[i] = is_there ? tile.visible(r / shape.tile_heads) : 0;
    }
    for (int first = 0; first < visible; first += kPartKeys) {
      const int keys = visible - first < kPartKeys ? visible - first : kPartKeys;
      make_part(args, shape, tile, first, keys, scores, dps);
      sync_block();
      TROUPE_UNROLL
      for (int i = 0; i < kRowsOfWarp; ++i) {
        const int at_row = (warp * kRowsOfWarp + i) * kFloatsLd;
        for (int j = lane; j < keys && first + j < seen[i]; j += kWarp) {
          const float p = divide(exponential(scores[at_row + j] - max[i]), sum[i]);
          dot[i] = fma(p, dps[at_row + j], dot[i]);
        }
      }
      sync_block();
    }
    TROUPE_UNROLL
    for (int i = 0; i < kRowsOfWarp; ++i) {
      const int r = warp * kRowsOfWarp + i;
      dot[i] = warp_sum(dot[i]);
      if (lane == 0 && block_index().y == 0 && tile.has(shape, r))
        at(dots)[tile.row(shape, args.H, r)] = dot[i];
    }

    float out[kFragments][4] = {};
    for (int first = 0; first < visible; first += kPartKeys) {
      const int keys = visible - first < kPartKeys ? visible - first : kPartKeys;
      make_part(args, shape, tile, first, keys, scores, dps);
      sync_block();
      TROUPE_UNROLL
      for (int i = 0; i < kRowsOfWarp; ++i) {
        const int at_row = (warp * kRowsOfWarp + i) * kFloatsLd;
        uint16_t* to = ds + (warp * kRowsOfWarp + i) * 2 * kFloatsLd;
        for (int j0 = 0; j0 < (keys + 15) / 16 * 16; j0 += kWarp) {
          const int j = j0 + lane;
          float value = 0;
          if (j < keys && first + j < seen[i]) {
            const float p = divide(exponential(scores[at_row + j] - max[i]), sum[i]);
            value = p * (dps[at_row + j] - dot[i]) * args.scale;
          }
          sync_warp(kAllLanes);  // What lies in the place of element j was read.
          to[j] = to_bf16(value);
        }
      }
      sync_block();
      TROUPE_NO_UNROLL
      for (int k = 0; k < keys; k += 16) {
        uint32_t a[4];
        TROUPE_UNROLL
        for (int i = 0; i < 4; ++i) {
          a[i] =
              pair_at(ds + (lane / 4 + i % 2 * 8) * 2 * kFloatsLd + k + lane % 4 * 2 + i / 2 * 8);
        }
        const uint16_t* key[4];
        TROUPE_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int j = first + k + lane % 4 * 2 + i % 2 + i / 2 * 8;
          key[i] = j < at(args.sequences.context)[tile.sequence]
                       ? key_of(args, tile.sequence, tile.group, j) + lane / 4
                       : nullptr;
        }
        TROUPE_UNROLL
        for (int f = 0; f < kFragments; ++f) {
          const int column = column0 + f * 8;
          uint32_t b[2];
          load_columns(
              b, [&](int i) { return key[i]; }, column + lane / 4 < width, column);
          float d[4] = {out[f][0], out[f][1], out[f][2], out[f][3]};
          mma_m16n8k16_bf16(d, a, b);
          TROUPE_UNROLL
          for (int e = 0; e < 4; ++e) {
            // A row ends with the step that has its last key.
            const int r = lane / 4 + e / 2 * 8;
            if (first + k < tile.visible(r / shape.tile_heads)) out[f][e] = d[e];
          }
        }
      }
      sync_block();  // All of it is free for the next part.
    }
    TROUPE_UNROLL
    for (int f = 0; f < kFragments; ++f) {
      TROUPE_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int r = lane / 4 + e / 2 * 8, column = column0 + f * 8 + lane % 4 * 2 + e % 2;
        if (tile.has(shape, r) && column < width) {
          at(args.dquery)[tile.row(shape, args.H, r) * width + column] = out[f][e];
        }
      }
    }
  }
}

// Sixteen keys of a sequence and a group.
struct KeyTile {
  int sequence, group, begin, tokens,
      first;  // Keys from `first` on; the sequence's rows.
};
TROUPE_DEVICE bool find_keys(const SequenceBatch& batch, int groups, int64_t index,
                             TileFinder& finder, KeyTile& tile) {
  for (; finder.sequence < batch.S; ++finder.sequence) {
    const int begin = at(batch.query_offset)[finder.sequence];
    const int tokens = at(batch.query_offset)[finder.sequence + 1] - begin;
    const int64_t tiles = static_cast<int64_t>((tokens + kTileKeys - 1) / kTileKeys) * groups;
    if (index < finder.before + tiles) {
      const int local = static_cast<int>(index - finder.before);
      tile = {finder.sequence, local % groups, begin, tokens, local / groups * kTileKeys};
      return true;
    }
    finder.before += tiles;
  }
  return false;
}

// Of keys, or of values where kIsValue: the sum over the rows of a sequence's
// group, which are heads of tokens in order, of ds or p times queries or dout.
template <bool kIsValue, int kFragments>
TROUPE_KERNEL(kThreads)
attention_cache_gradient_kernel(AttentionBackward args, int heads, Device<float> dots) {
  TROUPE_SHARED(uint16_t, factors,
                kTileKeys * kStepLd);  // By key, then by row of the step.
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int key_width = static_cast<int>(args.row.key_width);
  const int value_width = static_cast<int>(args.row.value_width);
  const int width = kIsValue ? value_width : key_width;
  const int column0 = first_column(kFragments);
  const uint16_t* const source = kIsValue ? bf16_at(args.dout) : bf16_at(args.query);
  TileFinder finder;
  KeyTile tile;
  for (int64_t index = block_index().x;
       find_keys(args.sequences, static_cast<int>(args.row.groups), index, finder, tile);
       index += grid_extent().x) {
    const int rows = tile.tokens * heads;
    // Row r of the group among all (N, H).
    const auto row_of = [&](int r) {
      return static_cast<int64_t>(tile.begin + r / heads) * args.H + tile.group * heads + r % heads;
    };
    const uint16_t* key[2];
    const uint16_t* value[2];
    TROUPE_UNROLL
    for (int f = 0; f < 2; ++f) {
      const int j = tile.first + f * 8 + lane / 4;
      key[f] = j < tile.tokens ? key_of(args, tile.sequence, tile.group, j) : nullptr;
      value[f] = j < tile.tokens ? key[f] + args.row.value_offset : nullptr;
    }
    float out[kFragments][4] = {};
    // Steps before the first row that sees a key add nothing to +0.
    for (int step = tile.first * heads / 16 * 16; step < rows; step += kStepRows) {
      const int first = step + warp * 16;
      const uint16_t* queries[2];
      const uint16_t* douts[2];
      TROUPE_UNROLL
      for (int i = 0; i < 2; ++i) {
        const int r = first + lane / 4 + i * 8;
        queries[i] = r < rows ? bf16_at(args.query) + row_of(r) * key_width : nullptr;
        douts[i] = r < rows ? bf16_at(args.dout) + row_of(r) * value_width : nullptr;
      }
      float z[2][4] = {}, dp[2][4] = {};
      if (first < rows) {
        multiply(queries, key, key_width, z);
        if (!kIsValue) multiply(douts, value, value_width, dp);
      }
      TROUPE_UNROLL
      for (int i = 0; i < 2; ++i) {
        const int r = first + lane / 4 + i * 8;
        const int64_t row = r < rows ? row_of(r) : 0;
        TROUPE_UNROLL
        for (int n = 0; n < 4; ++n) {
          const int f = n / 2, e = i * 2 + n % 2;
          const int local = f * 8 + lane % 4 * 2 + n % 2;
          float factor = 0;
          if (r < rows && tile.first + local <= r / heads) {
            factor =
                divide(exponential(args.scale * z[f][e] - at(args.max)[row]), at(args.sum)[row]);
            if (!kIsValue) factor = factor * (dp[f][e] - at(dots)[row]) * args.scale;
          }
          factors[local * kStepLd + r - step] = to_bf16(factor);
        }
      }
      sync_block();
      TROUPE_NO_UNROLL
      for (int k = 0; k < kStepRows && step + k < rows; k += 16) {
        uint32_t a[4];
        TROUPE_UNROLL
        for (int i = 0; i < 4; ++i) {
          a[i] = pair_at(factors + (lane / 4 + i % 2 * 8) * kStepLd + k + lane % 4 * 2 + i / 2 * 8);
        }
        const uint16_t* from[4];
        TROUPE_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int r = step + k + lane % 4 * 2 + i % 2 + i / 2 * 8;
          from[i] = r < rows ? source + row_of(r) * width + lane / 4 : nullptr;
        }
        TROUPE_UNROLL
        for (int f = 0; f < kFragments; ++f) {
          const int column = column0 + f * 8;
          uint32_t b[2];
          load_columns(
              b, [&](int i) { return from[i]; }, column + lane / 4 < width, column);
          mma_m16n8k16_bf16(out[f], a, b);
        }
      }
      sync_block();  // The factors' place is free for the next step.
    }
    // A value that is a part of its key is added to it; behind values of their
    // own are zeros.
    const bool is_part = args.row.value_offset < key_width;
    const int end = kIsValue && !is_part
                        ? static_cast<int>(args.row.group_stride - args.row.value_offset)
                        : width;
    TROUPE_UNROLL
    for (int f = 0; f < kFragments; ++f) {
      TROUPE_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int j = tile.first + lane / 4 + e / 2 * 8;
        const int column = column0 + f * 8 + lane % 4 * 2 + e % 2;
        if (j >= tile.tokens || column >= end) continue;
        float* to = at(args.dcache) + (tile.begin + j) * args.row.width +
                    tile.group * args.row.group_stride + (kIsValue ? args.row.value_offset : 0) +
                    column;
        *to = kIsValue && is_part ? *to + out[f][e] : out[f][e];
      }
    }
  }
}

namespace {

// Columns of a block, for each fragment of its warps.
constexpr int64_t kColumnsOf = 8 * kWarps;
Extent grid_of(unsigned blocks, int64_t columns, int fragments) {
  const int64_t each = fragments * kColumnsOf;
  return {blocks, static_cast<unsigned>((columns + each - 1) / each)};
}

template <bool kIsValue>
void launch_cache_gradient(StreamHandle stream, const AttentionBackward& args, int heads,
                           Device<float> dots, unsigned blocks, int64_t columns) {
  if (columns <= 2 * kColumnsOf) {
    launch(attention_cache_gradient_kernel<kIsValue, 2>, grid_of(blocks, columns, 2), kThreads, 0,
           stream, args, heads, dots);
  } else {
    launch(attention_cache_gradient_kernel<kIsValue, 5>, grid_of(blocks, columns, 5), kThreads, 0,
           stream, args, heads, dots);
  }
}

}  // namespace

void attention_backward(StreamHandle stream, const AttentionBackward& args, Device<float> dots) {
  const CacheRow& row = args.row;
  TROUPE_CHECK(args.dout.element_bytes == 2 && args.query.element_bytes == 2 &&
               args.cache.element_bytes == 2);
  TROUPE_CHECK(row.groups > 0 && args.H % row.groups == 0);
  TROUPE_CHECK(row.key_width > 0 && row.key_width <= INT32_MAX / 2);
  // A value is the beginning of its key, or has a place of its own behind it.
  TROUPE_CHECK(row.value_offset == 0 || row.value_offset >= row.key_width);
  const int64_t values =
      row.value_offset == 0 ? row.value_width : row.group_stride - row.value_offset;
  TROUPE_CHECK(row.value_width > 0 && values >= row.value_width && values <= INT32_MAX / 2);
  TROUPE_CHECK(args.N * (args.H / row.groups) <= INT32_MAX / 2);
  if (args.N == 0 || args.H == 0) return;
  const TileShape shape = tile_shape(args.H, row.groups);
  const int64_t tiles = args.N * shape.chunks * row.groups;
  const unsigned blocks = static_cast<unsigned>(tiles < kBlocksMax ? tiles : kBlocksMax);
  if (row.key_width <= 2 * kColumnsOf) {
    launch(attention_query_gradient_kernel<2>, grid_of(blocks, row.key_width, 2), kThreads, 0,
           stream, args, shape, dots);
  } else {
    launch(attention_query_gradient_kernel<3>, grid_of(blocks, row.key_width, 3), kThreads, 0,
           stream, args, shape, dots);
  }
  launch_cache_gradient<false>(stream, args, shape.heads, dots, blocks, row.key_width);
  launch_cache_gradient<true>(stream, args, shape.heads, dots, blocks, values);
}

}  // namespace troupe::kernels::cuda

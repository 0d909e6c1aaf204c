// Attention of attention.h on CUDA. A block takes sixteen query rows over the parts of their
// context: scores by eight warps with 32 keys each, a softmax of the part, then each warp some
// columns of the values.
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
constexpr int kScoresLd = kPartKeys + 4,
              kWeightsLd = kPartKeys + 8;  // Away from each other's banks.
constexpr int kBlocksMax = 1024;

}  // namespace

// Shared by a block.
struct AttentionShared {
  float (&scores)[kTileRows * kScoresLd];
  uint16_t (&weights)[kTileRows * kWeightsLd];
  float (&max)[kTileRows];
  float (&sum)[kTileRows];
  float (&old_factor)[kTileRows];
  float (&new_factor)[kTileRows];
  int (&is_seen)[kTileRows];  // Whether a row sees a key of the part.
};

// scores of the part's keys, of rows and keys that there are; other ones are of no meaning.
TROUPE_DEVICE void make_scores(const Attention& args, const TileShape& shape, const Tile& tile,
                               int first, int keys, AttentionShared& shared) {
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int begin = warp * kWarpKeys, width = static_cast<int>(args.row.key_width);
  if (begin >= keys) return;
  const uint16_t* query[2];
  bool has_row[2];
  TROUPE_UNROLL
  for (int i = 0; i < 2; ++i) {
    const int r = lane / 4 + i * 8;
    has_row[i] = tile.has(shape, r);
    query[i] = bf16_at(args.query) + (has_row[i] ? tile.row(shape, args.H, r) * width : 0);
  }
  const uint16_t* key[kKeyFragments];
  bool has_key[kKeyFragments];
  TROUPE_UNROLL
  for (int f = 0; f < kKeyFragments; ++f) {
    const int j = begin + f * 8 + lane / 4;
    has_key[f] = j < keys;
    key[f] = cache_row(args.cache, args.row, args.sequences, tile.sequence,
                       first + (has_key[f] ? j : 0)) +
             tile.group * args.row.group_stride;
  }
  float sums[kKeyFragments][4] = {};
  for (int k = lane % 4 * 2; k < width; k += 16) {
    uint32_t a[4];
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      a[i] = has_row[i % 2] ? pair_at(query[i % 2] + k + i / 2 * 8) : 0;
    }
    TROUPE_UNROLL
    for (int f = 0; f < kKeyFragments; ++f) {
      uint32_t b[2];
      TROUPE_UNROLL
      for (int i = 0; i < 2; ++i) b[i] = has_key[f] ? pair_at(key[f] + k + i * 8) : 0;
      mma_m16n8k16_bf16(sums[f], a, b);
    }
  }
  TROUPE_UNROLL
  for (int f = 0; f < kKeyFragments; ++f) {
    TROUPE_UNROLL
    for (int e = 0; e < 4; ++e) {
      const int r = lane / 4 + e / 2 * 8, j = begin + f * 8 + lane % 4 * 2 + e % 2;
      shared.scores[r * kScoresLd + j] = args.scale * sums[f][e];
    }
  }
}

// The weights of the part's keys, and how the part is joined to what was before it.
TROUPE_DEVICE void softmax(const TileShape& shape, const Tile& tile, int first, int keys,
                           AttentionShared& shared) {
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int padded_keys = (keys + 15) / 16 * 16;
  TROUPE_UNROLL
  for (int i = 0; i < kRowsOfWarp; ++i) {
    const int r = warp * kRowsOfWarp + i;
    const int left = tile.has(shape, r) ? tile.visible(r / shape.tile_heads) - first : 0;
    const int seen = left < keys ? left : keys;
    const float* scores = shared.scores + r * kScoresLd;
    uint16_t* weights = shared.weights + r * kWeightsLd;
    float most = kLowest;
    for (int j = lane; j < seen; j += kWarp) most = scores[j] > most ? scores[j] : most;
    TROUPE_UNROLL
    for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
      const float other = shuffle_xor(kAllLanes, most, lanes);
      most = other > most ? other : most;
    }
    float sum = 0;
    for (int j = lane; j < padded_keys; j += kWarp) {
      const float e = j < seen ? exponential(scores[j] - most) : 0;
      sum += e;
      weights[j] = to_bf16(e);
    }
    sum = warp_sum(sum);
    if (lane == 0) {
      shared.is_seen[r] = seen > 0;
      if (seen > 0) {
        const float old_max = shared.max[r], max = most > old_max ? most : old_max;
        const float old_factor = exponential(old_max - max), factor = exponential(most - max);
        shared.max[r] = max;
        shared.sum[r] = fma(sum, factor, shared.sum[r] * old_factor);
        shared.old_factor[r] = old_factor;
        shared.new_factor[r] = factor;
      }
    }
  }
}

// out (16, columns) is joined with the part's weights times its values. Column f * 8 + i of a warp
// is that of value column0 + f * 8 + i.
template <int kFragments>
TROUPE_DEVICE void add_values(const Attention& args, const TileShape& shape, const Tile& tile,
                              int first, int keys, int column0, const AttentionShared& shared,
                              float (&out)[kFragments][4]) {
  const int lane = thread_index() % kWarp;
  const int width = static_cast<int>(args.row.value_width);
  float sums[kFragments][4] = {};
  for (int k = 0; k < keys; k += 16) {
    uint32_t a[4];
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      a[i] = pair_at(shared.weights + (lane / 4 + i % 2 * 8) * kWeightsLd + k + lane % 4 * 2 +
                     i / 2 * 8);
    }
    const uint16_t* value[4];
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int j = k + lane % 4 * 2 + i % 2 + i / 2 * 8;
      value[i] = cache_row(args.cache, args.row, args.sequences, tile.sequence,
                           first + (j < keys ? j : 0)) +
                 tile.group * args.row.group_stride + args.row.value_offset + column0 + lane / 4;
    }
    // Where not all tokens see all sixteen keys, each has a product of its own, with zeros for the
    // values that it does not see: a step's bits depend on the exponents of its operands, even of
    // those that meet a zero.
    const bool is_whole = first + k + 16 <= tile.visible(0);
    for (int u = 0; u < (is_whole ? 1 : tile.tokens); ++u) {
      const int left = is_whole ? 16 : tile.visible(u) - first - k;
      if (left <= 0) continue;
      TROUPE_UNROLL
      for (int f = 0; f < kFragments; ++f) {
        const bool is_inside = column0 + f * 8 + lane / 4 < width;
        uint16_t v[4];
        TROUPE_UNROLL
        for (int i = 0; i < 4; ++i) {
          const bool is_seen = lane % 4 * 2 + i % 2 + i / 2 * 8 < left;
          v[i] = is_inside && is_seen ? value[i][f * 8] : static_cast<uint16_t>(0);
        }
        const uint32_t b[2] = {pair_of(v[0], v[1]), pair_of(v[2], v[3])};
        float d[4] = {sums[f][0], sums[f][1], sums[f][2], sums[f][3]};
        mma_m16n8k16_bf16(d, a, b);
        TROUPE_UNROLL
        for (int e = 0; e < 4; ++e) {
          const int r = lane / 4 + e / 2 * 8;
          if (is_whole || r / shape.tile_heads == u) sums[f][e] = d[e];
        }
      }
    }
  }
  TROUPE_UNROLL
  for (int f = 0; f < kFragments; ++f) {
    TROUPE_UNROLL
    for (int e = 0; e < 4; ++e) {
      const int r = lane / 4 + e / 2 * 8;
      if (shared.is_seen[r] != 0) {
        out[f][e] = fma(sums[f][e], shared.new_factor[r], out[f][e] * shared.old_factor[r]);
      }
    }
  }
}

// kFragments columns of eight for each warp.
template <int kFragments>
TROUPE_KERNEL(kThreads)
attention_kernel(Attention args, TileShape shape) {
  TROUPE_SHARED(float, scores, kTileRows* kScoresLd);
  TROUPE_SHARED(uint16_t, weights, kTileRows * kWeightsLd);
  TROUPE_SHARED(float, max, kTileRows);
  TROUPE_SHARED(float, sum, kTileRows);
  TROUPE_SHARED(float, old_factor, kTileRows);
  TROUPE_SHARED(float, new_factor, kTileRows);
  TROUPE_SHARED(int, is_seen, kTileRows);
  AttentionShared shared{scores, weights, max, sum, old_factor, new_factor, is_seen};
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int column0 = warp * kFragments * 8, width = static_cast<int>(args.row.value_width);
  TileFinder finder;
  Tile tile;
  for (int64_t index = block_index().x;
       finder.find(args.sequences, shape, static_cast<int>(args.row.groups), index, tile);
       index += grid_extent().x) {
    if (thread_index() < kTileRows) {
      max[thread_index()] = kLowest;
      sum[thread_index()] = 0;
    }
    float out[kFragments][4] = {};
    const int visible = tile.visible(tile.tokens - 1);
    for (int first = 0; first < visible; first += kPartKeys) {
      const int keys = visible - first < kPartKeys ? visible - first : kPartKeys;
      make_scores(args, shape, tile, first, keys, shared);
      sync_block();
      softmax(shape, tile, first, keys, shared);
      sync_block();
      add_values<kFragments>(args, shape, tile, first, keys, column0, shared, out);
    }
    TROUPE_UNROLL
    for (int f = 0; f < kFragments; ++f) {
      TROUPE_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int r = lane / 4 + e / 2 * 8, column = column0 + f * 8 + lane % 4 * 2 + e % 2;
        if (tile.has(shape, r) && column < width) {
          bf16_at(args.out)[tile.row(shape, args.H, r) * width + column] =
              to_bf16(divide(out[f][e], sum[r]));
        }
      }
    }
    if (args.max.address != 0 && thread_index() < kTileRows && tile.has(shape, thread_index())) {
      const int64_t row = tile.row(shape, args.H, thread_index());
      at(args.max)[row] = max[thread_index()];
      at(args.sum)[row] = sum[thread_index()];
    }
    sync_block();  // All of it is free for the next tile.
  }
}

void attention(StreamHandle stream, const Attention& args) {
  const CacheRow& row = args.row;
  TROUPE_CHECK(args.out.element_bytes == 2 && args.query.element_bytes == 2 &&
               args.cache.element_bytes == 2);
  TROUPE_CHECK(row.groups > 0 && args.H % row.groups == 0);
  // Pairs of elements are read as words.
  TROUPE_CHECK(row.key_width % 16 == 0 && row.width % 2 == 0 && row.group_stride % 2 == 0);
  TROUPE_CHECK(args.query.address % 4 == 0 && args.cache.address % 4 == 0);
  TROUPE_CHECK(row.value_width > 0 && row.value_width <= 8 * 8 * kWarps);
  TROUPE_CHECK(args.sequences.S <= INT32_MAX);
  if (args.sequences.S == 0 || args.H == 0) return;
  const TileShape shape = tile_shape(args.H, row.groups);
  // As many as there may be tiles, but not more than a device runs at once. Any number does.
  const int64_t tiles = args.sequences.S * shape.chunks * row.groups *
                        ((args.sequences.context_max + shape.tile_tokens - 1) / shape.tile_tokens);
  const unsigned blocks = static_cast<unsigned>(tiles < 1            ? 1
                                                : tiles < kBlocksMax ? tiles
                                                                     : kBlocksMax);
  if (row.value_width <= 2 * 8 * kWarps) {
    launch(attention_kernel<2>, blocks, kThreads, 0, stream, args, shape);
  } else if (row.value_width <= 4 * 8 * kWarps) {
    launch(attention_kernel<4>, blocks, kThreads, 0, stream, args, shape);
  } else {
    launch(attention_kernel<8>, blocks, kThreads, 0, stream, args, shape);
  }
}

}  // namespace troupe::kernels::cuda

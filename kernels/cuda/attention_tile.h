// How attention is cut into work for blocks: a tile is sixteen query rows that share the keys of
// one group, a part is some hundred keys. Which rows share a tile is of no meaning for their bits.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/device.h"

namespace troupe::kernels::cuda {

constexpr int kTileRows = 16;   // Of an mma.
constexpr int kPartKeys = 256;  // Of a part of the context, counted from position 0 (README.md).
constexpr float kLowest = -3.0e38f;  // Below every score.

// Row r of a tile is head r % heads of token r / heads, counted from the tile's first.
struct TileShape {
  int heads;        // Of a group.
  int tile_heads;   // In a tile: all of a group's, if they are sixteen at most.
  int tile_tokens;  // In a tile: one, if a token has more rows than a tile.
  int chunks;       // Tiles that a token's rows of a group fill.
};
inline TileShape tile_shape(int64_t H, int64_t groups) {
  const int heads = static_cast<int>(H / groups);
  const int tile_heads = heads < kTileRows ? heads : kTileRows;
  return {heads, tile_heads, kTileRows / tile_heads, (heads + kTileRows - 1) / kTileRows};
}

// A tile of a sequence.
struct Tile {
  int sequence;
  int group;
  int first_token;  // Row of the first token among all tokens of the batch.
  int tokens;       // At most tile_tokens.
  int first_head;   // Among the group's.
  int position;     // Of the first token.

  // Keys that token u sees.
  TROUPE_DEVICE int visible(int u) const { return position + u + 1; }
  TROUPE_DEVICE bool has(const TileShape& shape, int r) const {
    return r / shape.tile_heads < tokens && first_head + r % shape.tile_heads < shape.heads;
  }
  // Of row r among all (N, H).
  TROUPE_DEVICE int64_t row(const TileShape& shape, int64_t H, int r) const {
    return (first_token + r / shape.tile_heads) * H + group * shape.heads + first_head +
           r % shape.tile_heads;
  }
};

// Gives a block its tiles one after another: the number of tokens is known to the device only. A
// block asks for rising indices.
struct TileFinder {
  int sequence = 0;
  int64_t before = 0;  // Tiles of the sequences before it.

  TROUPE_DEVICE bool find(const SequenceBatch& batch, const TileShape& shape, int groups,
                          int64_t index, Tile& tile) {
    for (; sequence < batch.S; ++sequence) {
      const int begin = at(batch.query_offset)[sequence];
      const int tokens = at(batch.query_offset)[sequence + 1] - begin;
      const int each = shape.chunks * groups;  // Of some tokens.
      const int64_t tiles =
          static_cast<int64_t>((tokens + shape.tile_tokens - 1) / shape.tile_tokens) * each;
      if (index < before + tiles) {
        const int local = static_cast<int>((index - before) / each);
        const int rest = static_cast<int>((index - before) % each);
        const int first = local * shape.tile_tokens, left = tokens - first;
        tile.sequence = sequence;
        tile.group = rest / shape.chunks;
        tile.first_token = begin + first;
        tile.tokens = left < shape.tile_tokens ? left : shape.tile_tokens;
        tile.first_head = rest % shape.chunks * kTileRows;
        tile.position = at(batch.context)[sequence] - tokens + first;
        return true;
      }
      before += tiles;
    }
    return false;
  }
};

// The row of the cache that has token j of a sequence.
TROUPE_DEVICE const uint16_t* cache_row(Stored cache, const CacheRow& row,
                                        const SequenceBatch& batch, int sequence, int j) {
  const int32_t block =
      at(batch.block_table)[sequence * batch.blocks_max + j / static_cast<int>(kBlockTokens)];
  return bf16_at(cache) + (block + j % static_cast<int>(kBlockTokens)) * row.width;
}

// Two elements of a row, the first at a multiple of two.
TROUPE_DEVICE uint32_t pair_at(const uint16_t* elements) {
  return *reinterpret_cast<const uint32_t*>(elements);
}
TROUPE_DEVICE uint32_t pair_of(uint16_t low, uint16_t high) {
  return static_cast<uint32_t>(low) | static_cast<uint32_t>(high) << 16;
}

}  // namespace troupe::kernels::cuda

// What each rank owns: all chunks, each once, none in two shards.
#include "model/parallel/shard_map.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "kernels/device_types.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

// Its embedding has several chunks, and its experts' names sort in another order than their
// numbers.
TransformerConfig config_of_many_chunks() {
  TransformerConfig config = tests::tiny_config();
  config.vocab_size = 9'000;
  return config;
}

TEST_CASE("shard map: shards cover the array without a gap, and chunks lie in one of them") {
  const ParameterLayout layout(config_of_many_chunks());
  for (const int ranks : {1, 2, 3, 4, 7, 64, 1000}) {
    CAPTURE(ranks);
    const ShardMap map(layout, ranks);
    int64_t at = 0;
    size_t chunk = 0;
    size_t most = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const FloatRange range = map.range_of(rank);
      CHECK(range.begin == at);
      at = range.end;
      CHECK(map.first_chunk(rank) == chunk);
      const auto own = map.chunks_of(rank);
      for (const Chunk& one : own) {
        CHECK(one.offset >= range.begin);
        CHECK(one.offset + one.count <= range.end);
      }
      chunk += own.size();
      most = std::max(most, own.size());
      CHECK(range.count() <= layout.num_floats() / ranks + kernels::kChunkElements + 16);
    }
    CHECK(at == layout.num_floats());
    CHECK(chunk == map.chunks().size());
    CHECK(map.chunks_max() == most);
  }
}

TEST_CASE("shard map: chunks are of one tensor each, and known in the order of names too") {
  const ParameterLayout layout(config_of_many_chunks());
  const ShardMap map(layout, 2);
  int64_t floats = 0;
  size_t of_embedding = 0;
  for (const Chunk& chunk : map.chunks()) {
    const auto& [shape, offset] = layout.by_name()[chunk.parameter];
    CHECK((chunk.offset - offset) % kernels::kChunkElements == 0);
    CHECK(chunk.count == std::min(kernels::kChunkElements, offset + shape.size() - chunk.offset));
    floats += chunk.count;
    of_embedding += shape.name == "model.embed_tokens.weight" ? 1 : 0;
  }
  CHECK(floats == layout.num_parameters());
  CHECK(of_embedding > 1);
  REQUIRE(map.by_name().size() == map.chunks().size());
  for (size_t i = 1; i < map.by_name().size(); ++i) {
    const Chunk& before = map.chunks()[map.by_name()[i - 1]];
    const Chunk& chunk = map.chunks()[map.by_name()[i]];
    if (before.parameter == chunk.parameter) {
      CHECK(before.offset + before.count == chunk.offset);
    } else {
      CHECK(layout.by_name()[before.parameter].shape.name <
            layout.by_name()[chunk.parameter].shape.name);
    }
  }
}

}  // namespace
}  // namespace troupe::model

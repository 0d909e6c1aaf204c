#include "model/training/packing.h"

#include <doctest/doctest.h>

#include "kernels/random.h"

namespace troupe::model {
namespace {

using Packs = std::vector<std::vector<size_t>>;

TEST_CASE("packing: next-fit never looks back") {
  // 5 does not fit beside 4 and 3 does not return to the first, where there would be room.
  CHECK(pack(std::vector<int64_t>{4, 5, 3, 2, 8, 1}, 8) == Packs{{0}, {1, 2}, {3}, {4}, {5}});
  CHECK(pack(std::vector<int64_t>{4, 4, 1}, 8) == Packs{{0, 1}, {2}});
  CHECK(pack(std::vector<int64_t>{8}, 8) == Packs{{0}});
  CHECK(pack(std::vector<int64_t>{}, 8).empty());
}

TEST_CASE("packing: order is kept, nothing is lost, nothing overflows") {
  kernels::RandomStream random(7, kernels::StreamId::kMakeData);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> lengths(random.below(40));
    for (auto& length : lengths) length = 1 + static_cast<int64_t>(random.below(50));
    size_t next = 0;
    int64_t before = 0;
    for (const auto& microbatch : pack(lengths, 50)) {
      REQUIRE_FALSE(microbatch.empty());
      int64_t used = 0;
      if (next > 0) CHECK(before + lengths[next] > 50);  // Else it would have gone there.
      for (size_t index : microbatch) {
        CHECK(index == next++);
        used += lengths[index];
      }
      CHECK(used <= 50);
      before = used;
    }
    CHECK(next == lengths.size());
  }
}

}  // namespace
}  // namespace troupe::model

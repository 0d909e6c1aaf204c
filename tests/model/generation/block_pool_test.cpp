#include "model/generation/block_pool.h"

#include <doctest/doctest.h>

#include <set>

namespace troupe::model {
namespace {

TEST_CASE("block pool: every block is handed out once and comes back") {
  BlockPool pool(5);
  std::set<int32_t> taken;
  for (int i = 0; i < 5; ++i) {
    CHECK(pool.num_free() == 5 - i);
    const int32_t block = pool.take();
    CHECK(taken.insert(block).second);
  }
  pool.release(3);
  CHECK(pool.num_free() == 1);
  CHECK(pool.take() == 3);
}

TEST_CASE("block pool: a shared block is free when its last owner lets go") {
  BlockPool pool(2);
  const int32_t block = pool.take();
  CHECK_FALSE(pool.is_shared(block));
  pool.share(block);
  pool.share(block);
  pool.release(block);
  CHECK(pool.is_shared(block));
  pool.release(block);
  CHECK_FALSE(pool.is_shared(block));
  CHECK(pool.num_free() == 1);
  pool.release(block);
  CHECK(pool.num_free() == 2);
}

}  // namespace
}  // namespace troupe::model

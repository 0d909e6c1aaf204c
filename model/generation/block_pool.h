// The paged cache's bookkeeping: blocks of kBlockTokens rows, shared by sequences that have the
// same beginning and counted. Knows no device.
#pragma once

#include <cstdint>
#include <vector>

#include "schemas/check.h"

namespace troupe::model {

class BlockPool {
 public:
  explicit BlockPool(int32_t num_blocks) : owners_(static_cast<size_t>(num_blocks)) {
    for (int32_t b = num_blocks - 1; b >= 0; --b) free_.push_back(b);
  }

  int32_t num_free() const { return static_cast<int32_t>(free_.size()); }

  // A block with one owner; there must be a free one.
  int32_t take() {
    TROUPE_CHECK(!free_.empty());
    const int32_t block = free_.back();
    free_.pop_back();
    owners_[static_cast<size_t>(block)] = 1;
    return block;
  }

  void share(int32_t block) {
    TROUPE_CHECK(owners_[static_cast<size_t>(block)] > 0);
    ++owners_[static_cast<size_t>(block)];
  }

  // True while somebody else reads the block too, so that it must be copied before it is written.
  bool is_shared(int32_t block) const { return owners_[static_cast<size_t>(block)] > 1; }

  void release(int32_t block) {
    TROUPE_CHECK(owners_[static_cast<size_t>(block)] > 0);
    if (--owners_[static_cast<size_t>(block)] == 0) free_.push_back(block);
  }

 private:
  std::vector<int32_t> owners_;
  std::vector<int32_t> free_;
};

}  // namespace troupe::model

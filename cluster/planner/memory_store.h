// Records of one job in memory, for runs that are only simulated.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "actors/replay/replay_store.h"

namespace troupe::cluster {

class MemoryStore : public actors::RecordReader {
 public:
  Result<std::optional<actors::StoredRecord>> find(const actors::RecordKey& key) const override {
    const auto found = records_.find(key);
    if (found == records_.end()) return std::optional<actors::StoredRecord>();
    return std::optional(found->second);
  }

  Result<std::vector<actors::StoredRecord>> list(uint64_t job, actors::RecordKind kind,
                                                 uint64_t first, uint64_t end) const override {
    std::vector<actors::StoredRecord> found;
    for (auto it = records_.lower_bound({job, kind, first, 0}); it != records_.end(); ++it) {
      if (it->first.job != job || it->first.kind != kind || it->first.number >= end) break;
      found.push_back(it->second);
    }
    return found;
  }

  void apply(actors::Batch batch) {
    for (const actors::Erase& erase : batch.erases) {
      records_.erase(records_.lower_bound({batch.job, erase.kind, erase.first, 0}),
                     records_.lower_bound({batch.job, erase.kind, erase.end, 0}));
    }
    ++commits_;
    for (actors::Write& write : batch.writes) {
      records_[write.key] = {write.key, batch.epoch, commits_, std::move(write.value)};
    }
  }

 private:
  std::map<actors::RecordKey, actors::StoredRecord> records_{};
  uint64_t commits_ = 0;
};

}  // namespace troupe::cluster

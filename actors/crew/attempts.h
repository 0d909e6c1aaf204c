// How often the workers of a group were lost: when it is tried again, when it is dropped, and when
// a person should look.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "actors/crew/group_key.h"
#include "actors/crew/loss.h"
#include "actors/crew/outbox.h"
#include "actors/crew/pool_options.h"
#include "schemas/records.h"

namespace troupe::actors {

class Attempts {
 public:
  Attempts(PoolOptions options, PoolOutbox& outbox);

  // What was counted before this head began.
  void restore(const std::vector<AttemptRecord>& attempts);

  // A worker that had the group is lost, with so much of its work. False: the group is given up.
  bool lost(const GroupKey& group, Loss loss, double core_seconds, const std::string& why);
  // More of it is there than at its last loss, so it is no group that kills whoever tries it.
  void came_further(const GroupKey& group);
  // Nobody need do it again.
  void judged(const GroupKey& group) { tries_.erase(group); }

  // It may be why a worker has failed.
  bool is_suspect(const GroupKey& group) const;

 private:
  struct Tries {
    uint32_t faults = 0;
    uint32_t kills = 0;  // In a row.
  };

  const PoolOptions options_;
  PoolOutbox& outbox_;
  std::map<GroupKey, Tries> tries_{};
};

}  // namespace troupe::actors

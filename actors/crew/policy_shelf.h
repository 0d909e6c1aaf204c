// Published versions as files: which there are, which rollout has loaded which, and when nobody
// reads one any more.
//
// A rollout without a learner loads what it generates by; one with a learner has the learner's own
// weights.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/crew/activity.h"
#include "actors/crew/outbox.h"
#include "actors/crew/pool_options.h"
#include "actors/crew/slot_plan.h"

namespace troupe::actors {

class PolicyShelf {
 public:
  PolicyShelf(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox);

  // ---- Files.
  void put(PolicyPublished policy);
  // Nobody will ask for versions before this one again.
  void retire(PolicyVersion before);
  const PolicyPublished* find(PolicyVersion version) const;
  // Some rollout needs files at all.
  bool is_needed() const { return is_needed_; }
  // The version that groups are given out by which ask for this one; nothing while it is not there.
  std::optional<PolicyVersion> version_for(PolicyVersion asked, bool is_for_training) const;

  // ---- Who has loaded what, by slot.
  // A worker of an earlier head says what it has.
  void holds(uint32_t slot, WorkerReady ready) { readers_[slot].held = std::move(ready); }
  // A version of the shelf; it is loaded at once by whoever has the same weights already.
  void load(WorkerId worker, PolicyVersion version, double now);
  // What goes on by an older version is to go on by the newest.
  void load_newest(WorkerId worker, double now);
  // False: that is not what it was last asked to load.
  bool loaded(uint32_t slot, uint64_t request_id, PolicyVersion version);
  void lost(uint32_t slot) { readers_[slot] = {}; }
  void stood_still(double seconds, double now);

  bool has_loaded(uint32_t slot, PolicyVersion version) const {
    return readers_[slot].loaded == version;
  }
  bool is_loading(uint32_t slot) const { return readers_[slot].loading.has_value(); }
  // Why it is to be lost.
  std::optional<std::string> overdue(uint32_t slot, double now) const;
  std::optional<Activity> activity(uint32_t slot) const;

 private:
  struct Reader {
    std::optional<PolicyVersion> loaded{};
    WorkerReady held{};  // From an earlier head.
    std::optional<PolicyVersion> loading{};
    double since = 0;
    uint64_t request = 0;
  };

  void remove_retired();

  const PoolOptions options_;
  const bool is_needed_;
  PoolOutbox& outbox_;
  std::map<PolicyVersion, PolicyPublished> published_{};
  PolicyVersion retired_before_{};
  std::vector<Reader> readers_;
};

}  // namespace troupe::actors

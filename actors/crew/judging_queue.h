// The groups that are to be judged: what waits, which verifier has what, and where a group must not
// go again because its verifier failed at it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/crew/activity.h"
#include "actors/crew/group_key.h"
#include "actors/crew/outbox.h"
#include "actors/crew/pool_options.h"
#include "actors/crew/slot_plan.h"

namespace troupe::actors {

class JudgingQueue {
 public:
  JudgingQueue(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox);

  // ---- What is wanted.
  void want(GroupToJudge group) { waiting_.push_back(std::move(group)); }
  // Before everything that waits.
  void put_back(GroupToJudge group) { waiting_.push_front(std::move(group)); }
  // While nothing waits, verifiers' failures are at groups that were dropped.
  void forget_failures_of_dropped();
  void cancel(double now);
  void cancel_evaluation();

  // ---- Verifiers, by slot, and their work.
  void ready(WorkerId worker) { verifiers_[worker.slot].epoch = worker.epoch; }
  // What it had, in order.
  std::vector<GroupToJudge> lost(uint32_t slot, double now);
  // Only to one that is ready; nothing happens while it is at something.
  void give(uint32_t slot, const IsSuspect& is_suspect, double now);
  // False: that is not what it was last asked for. What it left out is asked again.
  bool answered(uint32_t slot, uint64_t request_id, const GroupsJudged& judged, double now);
  void stood_still(double seconds, double now);

  // Why it is to be lost.
  std::optional<std::string> overdue(uint32_t slot, double now) const;
  std::optional<Activity> activity(uint32_t slot) const;
  Busy take_busy(double now);
  void take_work(std::vector<WorkSpan>& into, double now) { work_.take(into, now); }
  // Since they were last taken.
  int64_t take_num_verdicts() { return std::exchange(num_verdicts_, 0); }

 private:
  struct Verifier {
    SlotPlan plan{};
    uint64_t epoch = 0;    // 0: it is not ready.
    uint64_t request = 0;  // Under way; 0: none.
    double since = 0;
    double patience = 0;
    std::vector<GroupToJudge> groups{};
    BusyTime busy{};
  };

  bool is_for_another(uint32_t slot, const GroupToJudge& group) const;
  void end_work(uint32_t slot, double now);
  double seconds_for(const Verifier& verifier, size_t num_responses) const;

  const PoolOptions options_;
  PoolOutbox& outbox_;
  std::vector<Verifier> verifiers_{};
  std::deque<GroupToJudge> waiting_{};
  // Whose verifier failed at a group: it is to be judged elsewhere.
  std::map<GroupKey, uint32_t> failed_at_{};
  int64_t num_verdicts_ = 0;
  WorkLog work_{};
};

}  // namespace troupe::actors

// The groups that are to be generated: what waits, who is at what, and what a worker of an earlier
// head still has in hand.
//
// A worker has one request at a time. What it leaves out goes to the end, what is lost with it goes
// before everything that waits, with the parts of responses that were told by then.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/crew/activity.h"
#include "actors/crew/group_key.h"
#include "actors/crew/outbox.h"
#include "actors/crew/pool_options.h"
#include "actors/crew/slot_plan.h"

namespace troupe::actors {

class GenerationQueue {
 public:
  // Groups that are wanted together, in one way. Evaluations come first, then the older round.
  struct Batch {
    bool is_for_training = false;
    uint64_t number = 0;  // Round, or version that is evaluated.
    auto operator<=>(const Batch&) const = default;
  };
  // What a worker is to be given next.
  struct Next {
    Batch batch{};
    PolicyVersion version{};  // That it asks for.
    bool is_held = false;     // The worker has some of it in hand.
  };
  // What a lost worker was at, in order.
  struct Lost {
    Batch batch{};
    std::vector<PromptGroup> groups{};
    double core_seconds = 0;  // That were spent on each.
  };
  // Whether a worker can generate what asks for this version.
  using CanTake = std::function<bool(PolicyVersion asked, bool is_for_training)>;

  GenerationQueue(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox);

  // ---- What is wanted. Groups of one purpose and round.
  void want(GenerateGroups request);
  void cancel(double now);
  void cancel_evaluation(double now);

  // ---- What workers of an earlier head have: they are asked for it before anybody else is.
  // How many of these no other has.
  size_t hold(uint32_t slot, const std::vector<HeldGroup>& groups);
  void forget_held(uint32_t slot);

  // What is wanted from now on is shared out among those that have a place.
  void place(uint32_t slot, bool is_placed) { rollouts_[slot].is_placed = is_placed; }

  // ---- Work.
  // Nothing while the worker is at something, or nothing that it can take waits.
  std::optional<Next> next(uint32_t slot, const CanTake& can_take) const;
  void give(WorkerId worker, const Next& next, PolicyVersion version, const IsSuspect& is_suspect,
            double now);
  // Takes out of the message what nobody asked for. The groups that have come further by it;
  // nothing when the message is not what the worker was last asked for.
  std::optional<std::vector<GroupKey>> arrived(uint32_t slot, uint64_t request_id,
                                               GroupsGenerated& generated, double now);
  // True: it has come further since its last heartbeat.
  bool progressed(uint32_t slot, const Heartbeat& beat);
  Lost lost(uint32_t slot, double now);
  // Before everything that waits.
  void put_back(const Batch& batch, PromptGroup group);
  void stood_still(double seconds, double now);

  // It generates groups to learn.
  bool is_training(uint32_t slot) const;
  // Why it is to be lost.
  std::optional<std::string> overdue(uint32_t slot, double now) const;
  std::optional<Activity> activity(uint32_t slot) const;
  int64_t num_waiting() const;
  int64_t num_generating() const;
  uint64_t tokens_of(uint32_t slot) const { return rollouts_[slot].tokens; }
  Busy take_busy(double now);
  void take_work(std::vector<WorkSpan>& into, double now) { work_.take(into, now); }

 private:
  struct Wanted {
    GenerateGroups request{};  // Without its groups.
    std::deque<PromptGroup> waiting{};
    size_t share = 1;  // Groups that a worker gets at once.
  };
  struct Rollout {
    Roles roles{};
    uint32_t threads = 1;
    bool is_placed = true;
    uint64_t request = 0;  // Under way; 0: none.
    uint64_t epoch = 0;    // Of whom it was given to.
    Batch batch{};
    double since = 0;
    size_t num_given = 0;  // Groups of that request.
    std::map<GroupKey, PromptGroup> groups{};
    int64_t sequences_done = 0, sequences_total = 0;
    BusyTime busy{};
    uint64_t tokens = 0;  // Of whole responses, whoever had the slot.
  };

  bool is_for(uint32_t slot, const PromptGroup& group, bool is_held) const;
  std::vector<GroupKey> take_segments(Rollout& rollout, ResponseSegments& segments);
  void stop(uint32_t slot, double now);
  void end_work(uint32_t slot, double now);
  void forget_finished();

  const PoolOptions options_;
  PoolOutbox& outbox_;
  std::map<Batch, Wanted> wanted_{};
  std::map<GroupKey, uint32_t> held_by_{};
  std::vector<Rollout> rollouts_{};
  WorkLog work_{};
};

}  // namespace troupe::actors

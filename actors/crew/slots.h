// The processes of a job's slots: which there should be, who is alive, and who is believed.
//
//   slot:  down ──start──▶ starting ──hello──▶ leasing ──ready──▶ ready
//            ▲                 │                  │                 │
//            └──── back-off ◀──┴── exit, silence, deadline ◀────────┘
//
// A slot without a place stays down: nobody has lent the job a device for it, or its host is gone.
//
// A process gets a lease with an epoch of its own. What comes from an older epoch is dropped, so
// that a worker that was declared lost cannot act any more, whatever it still does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/crew/activity.h"
#include "actors/crew/loss.h"
#include "actors/crew/outbox.h"
#include "actors/crew/pool_options.h"
#include "actors/crew/slot_plan.h"
#include "actors/slot_host.h"

namespace troupe::actors {

// Nothing that the slot's process still says counts; what it had is to go to others.
struct SlotLost {
  uint32_t slot = 0;
  Loss loss = Loss::kFault;
  std::string why{};
};

class Slots {
 public:
  Slots(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox);

  // ---- What has happened. Times are seconds of any one clock.
  // Processes of an earlier head are taken back, except a learner that nobody has kept: it is about
  // to end.
  void start(double now, const std::vector<Survivor>& survivors);
  void started(uint32_t slot, std::string token, uint64_t pid, double now);
  std::optional<SlotLost> start_failed(uint32_t slot, const std::string& reason, double now);
  // The epoch of the lease that it is to get; nothing when the sender is not who it says it is.
  std::optional<uint64_t> hello(const Hello& hello, double now);
  // False: what it says counts for nothing.
  bool heard(uint32_t slot, uint64_t epoch, double now);
  // It ends something before it takes its lease, and comes on with it.
  void goes_on(uint32_t slot, double now);
  // False: it has not been waited for.
  bool ready(uint32_t slot, double now);
  void disconnected(uint32_t slot, uint64_t epoch, double now);
  std::optional<SlotLost> ended(const ProcessEnd& end, double now);
  // Time has passed for one slot.
  std::optional<SlotLost> tick(uint32_t slot, double now);
  // This process itself stood still for so long and could hear nobody.
  void stood_still(double seconds, double now);
  // For a reason that somebody else knows.
  SlotLost lose(uint32_t slot, Loss loss, const std::string& why, double now);
  // The slot has a place, or another one, or none any more: what runs where it was is ended, and
  // that is nobody's fault.
  std::optional<SlotLost> leave_place(uint32_t slot, double now);
  void take_place(uint32_t slot, const std::string& host, double now);
  void shut_down();

  uint32_t num_slots() const { return static_cast<uint32_t>(slots_.size()); }
  bool is_ready(uint32_t slot) const { return slots_[slot].state == State::kReady; }
  // It has its lease, or is to have it.
  bool is_leased(uint32_t slot) const {
    return slots_[slot].state == State::kLeasing || slots_[slot].state == State::kReady;
  }
  bool is_placed(uint32_t slot) const { return slots_[slot].is_placed; }
  bool is_survivor(uint32_t slot) const { return slots_[slot].is_survivor; }
  bool is_shut_down() const { return is_shut_down_; }
  WorkerId worker(uint32_t slot) const { return {slot, slots_[slot].epoch}; }
  uint64_t pid(uint32_t slot) const { return slots_[slot].pid; }
  std::string title(uint32_t slot) const;
  // How far it is; "idle" once it is ready.
  Activity activity(uint32_t slot) const;

 private:
  enum class State { kDown, kStarting, kLeasing, kReady };

  struct Slot {
    Roles roles{};
    bool is_placed = true;
    std::string host{};
    State state = State::kDown;
    std::string token{};
    uint64_t pid = 0;
    uint64_t epoch = 0;
    double since = 0;  // Of the state.
    double heard = 0;
    double retry_at = 0;
    std::optional<double> disconnected_at{};
    uint32_t losses_in_a_row = 0;  // Without having been ready between.
    bool is_survivor = false;      // Of an earlier head.
    // Its place was given up before the process that was on its way there is known. It is waited
    // for, so that of two that start at a time none is taken for the other.
    bool is_unwanted = false;
    std::string last_loss{};
  };

  void start_process(uint32_t index, double now);
  void start_again(uint32_t index, double now);
  double patience_with(const Slot& slot) const;

  const PoolOptions options_;
  PoolOutbox& outbox_;
  std::vector<Slot> slots_{};
  uint64_t next_epoch_;
  bool is_shut_down_ = false;
};

}  // namespace troupe::actors

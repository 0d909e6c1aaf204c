// The learner's team: the workers that play the learner together, one rank each.
//
//   forming ──all are seated──▶ joining ──all are ready, alike──▶ ready
//      ▲                                                            │
//      └── the next epoch, with new keys ◀── a rank is lost, or cannot reach another ◀──┘
//
// A team lives and dies together: where one rank is lost the others are ended too, and a new team
// is formed with new keys, so that nobody of the old one can reach it. A learner that is alone is a
// team of one, without seats.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/crew/outbox.h"
#include "actors/crew/pool_options.h"
#include "actors/crew/slot_plan.h"
#include "schemas/team.h"

namespace troupe::actors {

class Team {
 public:
  // The slots that have the role are its ranks, in order.
  Team(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox);

  uint32_t num_ranks() const { return static_cast<uint32_t>(ranks_.size()); }
  // By rank.
  std::vector<uint32_t> slots() const;

  // What the lease of this slot says of its place.
  TeamSeat seat(uint32_t slot);
  // Where a rank is to be reached. With the last of them all are told where the others are.
  void seated(WorkerId worker, RankSeated seated);
  // With the last of them: what all say alike. The job fails where they do not.
  std::optional<WorkerReady> ready(WorkerId worker, WorkerReady ready);
  // It is over: the slots of the other ranks that had a seat, which are to be ended. Nothing where
  // the slot had none: then nobody's work is lost.
  std::optional<std::vector<uint32_t>> lost(uint32_t slot);
  // A rank cannot reach another. Who is gone is usually known a moment later; until then nothing
  // happens.
  void failed(uint32_t slot, const Error& error, double now);
  // How to be lost, when that moment has passed.
  std::optional<std::string> overdue(uint32_t slot, double now) const;

  void heard(uint32_t slot, const Heartbeat& beat);

  // ---- For people.
  // What a rank is at with the others: "all_to_all, waits for worker 2"; empty: nothing.
  std::string doing(uint32_t slot) const;
  // Of some ranks, that which most others wait for; the first where nobody waits.
  uint32_t most_awaited(const std::vector<uint32_t>& slots) const;
  uint64_t bytes_sent(uint32_t slot) const;

 private:
  struct Rank {
    uint32_t slot = 0;
    std::optional<TeamSeat> seat{};
    bool is_taken = false;  // A process was given the seat.
    std::optional<WorkerId> worker{};
    std::string endpoint{};
    std::optional<WorkerReady> ready{};
    Heartbeat beat{};  // The last.
    std::optional<Error> failure{};
    double failed_at = 0;
  };

  Rank* find(uint32_t slot);
  const Rank* find(uint32_t slot) const;
  bool make_seats();

  const PoolOptions options_;
  PoolOutbox& outbox_;
  std::vector<Rank> ranks_{};
  uint64_t next_epoch_;
};

}  // namespace troupe::actors

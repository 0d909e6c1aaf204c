#include "actors/crew/team.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "schemas/check.h"

namespace troupe::actors {

Team::Team(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox)
    : options_(std::move(options)), outbox_(outbox), next_epoch_(options_.first_epoch) {
  for (uint32_t i = 0; i < plans.size(); ++i) {
    if (!plans[i].roles.learner) continue;
    ranks_.emplace_back();
    ranks_.back().slot = i;
  }
}

std::vector<uint32_t> Team::slots() const {
  std::vector<uint32_t> slots;
  for (const Rank& rank : ranks_) slots.push_back(rank.slot);
  return slots;
}

Team::Rank* Team::find(uint32_t slot) {
  const auto found = std::find_if(ranks_.begin(), ranks_.end(),
                                  [slot](const Rank& rank) { return rank.slot == slot; });
  return found == ranks_.end() ? nullptr : &*found;
}

const Team::Rank* Team::find(uint32_t slot) const { return const_cast<Team*>(this)->find(slot); }

bool Team::make_seats() {
  TROUPE_CHECK(options_.make_seats);
  auto seats = options_.make_seats(num_ranks(), next_epoch_++);
  if (!seats) {
    outbox_.add(pool::GiveUp{JobState::kFailed, seats.error()});
    return false;
  }
  TROUPE_CHECK(seats->size() == ranks_.size());
  for (size_t i = 0; i < ranks_.size(); ++i) ranks_[i].seat = std::move((*seats)[i]);
  return true;
}

TeamSeat Team::seat(uint32_t slot) {
  Rank* rank = find(slot);
  if (rank == nullptr || num_ranks() == 1) return {};
  if (!rank->seat && !make_seats()) return {};
  rank->is_taken = true;
  return *rank->seat;
}

void Team::seated(WorkerId worker, RankSeated seated) {
  Rank* rank = find(worker.slot);
  if (rank == nullptr || !rank->is_taken || !rank->endpoint.empty()) return;
  rank->worker = worker;
  rank->endpoint = std::move(seated.endpoint);
  JoinTeam join;
  for (const Rank& one : ranks_) {
    if (one.endpoint.empty()) return;
    join.endpoints.push_back(one.endpoint);
  }
  for (const Rank& one : ranks_) outbox_.tell(*one.worker, 0, options_.start_max, join);
}

std::optional<WorkerReady> Team::ready(WorkerId worker, WorkerReady ready) {
  Rank* rank = find(worker.slot);
  TROUPE_CHECK(rank != nullptr);
  rank->worker = worker;
  rank->ready = std::move(ready);
  const auto is_there = [](const Rank& one) { return one.ready.has_value(); };
  if (!std::all_of(ranks_.begin(), ranks_.end(), is_there)) return std::nullopt;
  const WorkerReady& first = *ranks_.front().ready;
  for (const Rank& one : ranks_) {
    if (one.ready->version == first.version && one.ready->weights_sha256 == first.weights_sha256) {
      continue;
    }
    outbox_.give_up(JobState::kFailed,
                    fmt::format("the learner's ranks do not begin alike: worker {} has version {} "
                                "with weights {}, worker {} version {} with weights {}",
                                ranks_.front().slot, number(first.version), first.weights_sha256,
                                one.slot, number(one.ready->version), one.ready->weights_sha256));
    return std::nullopt;
  }
  return first;
}

std::optional<std::vector<uint32_t>> Team::lost(uint32_t slot) {
  const Rank* gone = find(slot);
  if (gone == nullptr || (num_ranks() > 1 && !gone->is_taken)) return std::nullopt;
  std::vector<uint32_t> others;
  for (Rank& rank : ranks_) {
    if (rank.slot != slot && rank.is_taken) others.push_back(rank.slot);
    rank = {.slot = rank.slot};
  }
  return others;
}

void Team::failed(uint32_t slot, const Error& error, double now) {
  Rank* rank = find(slot);
  if (rank == nullptr || rank->failure) return;
  rank->failure = error;
  rank->failed_at = now;
}

std::optional<std::string> Team::overdue(uint32_t slot, double now) const {
  const Rank* rank = find(slot);
  if (rank == nullptr || !rank->failure || now - rank->failed_at <= options_.disconnected_max) {
    return std::nullopt;
  }
  return "it cannot go on with its team: " + rank->failure->message;
}

void Team::heard(uint32_t slot, const Heartbeat& beat) {
  if (Rank* rank = find(slot); rank != nullptr) rank->beat = beat;
}

std::string Team::doing(uint32_t slot) const {
  const Rank* rank = find(slot);
  if (rank == nullptr || rank->beat.operation.empty()) return "";
  const auto awaited = static_cast<size_t>(rank->beat.waits_for_rank);
  if (rank->beat.waits_for_rank < 0 || awaited >= ranks_.size()) return rank->beat.operation;
  return fmt::format("{}, waits for worker {}", rank->beat.operation, ranks_[awaited].slot);
}

uint32_t Team::most_awaited(const std::vector<uint32_t>& slots) const {
  TROUPE_CHECK(!slots.empty());
  std::map<uint32_t, size_t> waiting;  // For whom how many wait.
  for (const Rank& rank : ranks_) {
    const auto awaited = static_cast<size_t>(rank.beat.waits_for_rank);
    if (rank.beat.waits_for_rank >= 0 && awaited < ranks_.size()) ++waiting[ranks_[awaited].slot];
  }
  return *std::max_element(slots.begin(), slots.end(),
                           [&waiting](uint32_t a, uint32_t b) { return waiting[a] < waiting[b]; });
}

uint64_t Team::bytes_sent(uint32_t slot) const {
  const Rank* rank = find(slot);
  return rank == nullptr ? 0 : rank->beat.team_bytes;
}

}  // namespace troupe::actors

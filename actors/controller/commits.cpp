#include "actors/controller/commits.h"

#include <algorithm>

#include "schemas/check.h"
#include "schemas/metrics_codec.h"

namespace troupe::actors {

void Commits::charge(double Ledger::*seconds, double core_seconds) {
  ledger_.*seconds += core_seconds;
  ledger_.money += core_seconds / 3600.0 * prices_.cpu_core_hour;
}

Batch Commits::batch() const {
  Batch batch;
  batch.job = writer_.job_id;
  batch.epoch = writer_.epoch;
  return batch;
}

// The bill is charged in the batch of the work that it is for.
Batch Commits::batch_with_ledger() const {
  Batch made = batch();
  made.writes.push_back({key(RecordKind::kLedger, 0), encode(ledger_)});
  return made;
}

RecordKey Commits::key(RecordKind kind, uint64_t number, uint32_t ordinal) const {
  return {writer_.job_id, kind, number, ordinal};
}

void Commits::commit(Batch batch, Durable durable) {
  const uint64_t ticket = next_ticket_++;
  pending_.emplace_back(ticket, std::move(durable));
  outbox_.add(command::Commit{ticket, std::move(batch)});
}

Durable Commits::committed(uint64_t ticket) {
  TROUPE_CHECK(!pending_.empty() && pending_.front().first == ticket);
  Durable durable = std::move(pending_.front().second);
  pending_.pop_front();
  return durable;
}

bool Commits::has_evaluation() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](const auto& one) { return one.second.evaluation.has_value(); });
}

std::vector<PointRecord> Commits::points() const {
  std::vector<PointRecord> points;
  for (const auto& [ticket, durable] : pending_) {
    if (durable.point) points.push_back(*durable.point);
  }
  return points;
}

}  // namespace troupe::actors

// What is on its way into the store, and what follows once it is durable. Every batch of work that
// somebody pays for has the bill with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "actors/controller/controller_command.h"
#include "actors/replay/replay_store.h"
#include "schemas/job.h"
#include "schemas/metrics.h"
#include "schemas/records.h"

namespace troupe::actors {

// What a batch makes true; nobody is told of it before.
struct Durable {
  std::optional<StepMetrics> step{};
  std::optional<EvaluationRecord> evaluation{};
  std::optional<GroupId> group{};
  std::optional<PointRecord> point{};
};

class Commits {
 public:
  struct Writer {
    uint64_t job_id = 0;
    uint64_t epoch = 0;
  };

  // `prices` and `outbox` outlive it.
  Commits(Writer writer, const PricesSpec& prices, Ledger ledger, Outbox& outbox)
      : writer_(writer), prices_(prices), ledger_(std::move(ledger)), outbox_(outbox) {}

  // Totals so far. What is added goes into the store with the next batch that has the bill.
  const Ledger& ledger() const { return ledger_; }
  Ledger& ledger() { return ledger_; }
  // `seconds` is the role's total, like &Ledger::learner_seconds.
  void charge(double Ledger::*seconds, double core_seconds);

  // The beginnings of a batch: without and with the bill.
  Batch batch() const;
  Batch batch_with_ledger() const;
  RecordKey key(RecordKind kind, uint64_t number, uint32_t ordinal = 0) const;

  void commit(Batch batch, Durable durable = {});
  // The oldest batch under way is in the store.
  Durable committed(uint64_t ticket);

  size_t size() const { return pending_.size(); }
  bool is_empty() const { return pending_.empty(); }
  bool has_evaluation() const;
  std::vector<PointRecord> points() const;  // Oldest first.

 private:
  const Writer writer_;
  const PricesSpec& prices_;
  Ledger ledger_{};
  Outbox& outbox_;
  uint64_t next_ticket_ = 1;
  std::deque<std::pair<uint64_t, Durable>> pending_{};
};

}  // namespace troupe::actors

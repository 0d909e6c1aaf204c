#include "actors/controller/commits.h"

#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

TEST_CASE("commits: the bill is written as it was when its batch was begun") {
  JobSpec job;
  job.prices.cpu_core_hour = 2;
  Outbox outbox;
  Commits commits({.job_id = 4, .epoch = 5}, job.prices, {.workers_lost = 3}, outbox);
  commits.charge(&Ledger::verifier_seconds, 1800);
  commits.commit(commits.batch_with_ledger());
  commits.charge(&Ledger::learner_seconds, 3600);
  commits.commit(commits.batch());
  const auto made = tests::all_of<command::Commit>(outbox.take());
  REQUIRE(made.size() == 2);
  const Batch& first = made[0].batch;
  CHECK(first.job == 4);
  CHECK(first.epoch == 5);
  REQUIRE(first.writes.size() == 1);
  CHECK(first.writes[0].key == RecordKey{4, RecordKind::kLedger, 0, 0});
  const Ledger bill = tests::written(first, RecordKind::kLedger, decode_ledger);
  CHECK(bill.workers_lost == 3);
  CHECK(bill.verifier_seconds == 1800);
  CHECK(bill.learner_seconds == 0);
  CHECK(bill.money == 1);
  CHECK(commits.ledger().money == 3);
  CHECK(made[1].batch.epoch == 5);
  CHECK(made[1].batch.writes.empty());
}

TEST_CASE("commits: what is durable comes back with its ticket, and is known on its way") {
  tests::ControllerParts parts;
  Commits& commits = parts.commits;
  const auto point = [](uint64_t version) {
    return Durable{.point = PointRecord{.version = PolicyVersion{version}}};
  };
  commits.commit(commits.batch(), point(3));
  commits.commit(commits.batch(), {.evaluation = EvaluationRecord{}});
  commits.commit(commits.batch(), point(5));
  const auto made = tests::all_of<command::Commit>(parts.outbox.take());
  REQUIRE(made.size() == 3);
  REQUIRE(commits.points().size() == 2);
  CHECK(commits.points()[0].version == PolicyVersion{3});
  CHECK(commits.has_evaluation());

  const Durable first = commits.committed(made[0].ticket);
  REQUIRE(first.point);
  CHECK(first.point->version == PolicyVersion{3});
  CHECK_FALSE(first.evaluation);
  REQUIRE(commits.points().size() == 1);
  CHECK(commits.points()[0].version == PolicyVersion{5});
  CHECK(commits.committed(made[1].ticket).evaluation);
  CHECK_FALSE(commits.has_evaluation());
  CHECK(commits.size() == 1);
  static_cast<void>(commits.committed(made[2].ticket));
  CHECK(commits.is_empty());
}

}  // namespace
}  // namespace troupe::actors

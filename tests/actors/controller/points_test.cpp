#include "actors/controller/points.h"

#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

PointRecord point(uint64_t version) {
  return {.version = PolicyVersion{version}, .folder = "step_" + std::to_string(version)};
}

EvaluationRecord evaluation(uint64_t version, int64_t solved, bool is_gate = false) {
  EvaluationRecord record;
  record.is_gate = is_gate;
  record.metrics.version = PolicyVersion{version};
  record.metrics.problems = 10;
  record.metrics.solved = solved;
  return record;
}

struct Fixture : tests::ControllerParts {
  Points points{job, timetable, {}, commits, outbox};

  // The point is saved, and its record is in the store.
  void keep(uint64_t version, const std::vector<EvaluationRecord>& evaluations = {}) {
    points.saved(point(version), 0);
    static_cast<void>(points.durable(*commits.committed(++ticket).point, evaluations));
  }
  uint64_t ticket = 0;
};

std::vector<uint64_t> due(const Points& points, uint64_t last) {
  std::vector<uint64_t> versions;
  for (uint64_t version = 0; version <= last; ++version) {
    if (points.is_due(version)) versions.push_back(version);
  }
  return versions;
}

TEST_CASE("points: due every so many steps, ten times rarer in the cold start, and at the end") {
  Fixture f;
  f.job.sft.steps = 25;
  f.job.grpo.steps = 8;
  f.job.schedule.checkpoint_every_steps = 1;
  CHECK(due(f.points, 33) == std::vector<uint64_t>{10, 20, 25, 26, 27, 28, 29, 30, 31, 32, 33});
  f.job.schedule.checkpoint_every_steps = 5;
  CHECK(due(f.points, 33) == std::vector<uint64_t>{25, 30, 33});
  // Within a round that is learned with a correction there is none: the next boundary has it.
  f.job.grpo.minibatches_per_round = 4;
  f.job.grpo.off_policy_correction = "decoupled";
  CHECK(due(f.points, 33) == std::vector<uint64_t>{25, 33});
  f.job.grpo.steps = 16;
  CHECK(due(f.points, 41) == std::vector<uint64_t>{25, 33, 37, 41});
  f.job.schedule.checkpoint_every_steps = 0;
  CHECK(due(f.points, 41) == std::vector<uint64_t>{41});
  CHECK(due(Points(f.job, f.timetable, {.saves_points = false}, f.commits, f.outbox), 41).empty());
}

TEST_CASE("points: older ones go once the record of a newer one is durable, with their groups") {
  Fixture f;
  f.job.schedule.checkpoints_kept = 2;
  f.keep(1);
  f.keep(3);
  static_cast<void>(f.outbox.take());
  f.points.saved(point(4), 0);
  auto commands = f.outbox.take();
  CHECK(tests::all_of<command::ForgetPoint>(commands).empty());
  const auto commits = tests::all_of<command::Commit>(commands);
  REQUIRE(commits.size() == 1);
  // Versions 3 and 4 stay, so rounds from 3 on are needed.
  for (const Erase& erase : commits[0].batch.erases) {
    CHECK(erase.first == 0);
    CHECK(erase.end == 3);
  }
  CHECK(commits[0].batch.erases.size() == 2);
  CHECK(number(f.points.start_point()->version) == 4);  // On its way is enough.
  CHECK(f.points.has(1));

  CHECK(f.points.durable(*f.commits.committed(3).point, {}) == 3);
  const auto forgotten = tests::all_of<command::ForgetPoint>(f.outbox.take());
  REQUIRE(forgotten.size() == 1);
  CHECK(number(forgotten[0].point.version) == 1);
  CHECK_FALSE(f.points.has(1));
  f.job.schedule.keep_groups = true;
  f.points.saved(point(5), 0);
  const auto kept = tests::all_of<command::Commit>(f.outbox.take());
  REQUIRE(kept.size() == 1);
  REQUIRE(kept[0].batch.erases.size() == 1);
  CHECK(kept[0].batch.erases[0].kind == RecordKind::kPoint);
}

TEST_CASE("points: the versions that one is to hold are needed until it is saved") {
  Fixture f;
  CHECK_FALSE(f.points.oldest_policy_held());
  f.points.ask(5, {PolicyVersion{3}, PolicyVersion{4}});
  f.points.ask(6, {PolicyVersion{4}});
  f.points.ask(7, {});
  CHECK(f.points.asked() == 7);
  CHECK(f.points.oldest_policy_held() == 3);
  f.points.saved(point(5), 0);
  CHECK(f.points.oldest_policy_held() == 4);
  static_cast<void>(f.points.durable(point(5), {}));
  CHECK(f.points.asked() == 7);  // It is another.
  f.points.learner_lost();
  CHECK_FALSE(f.points.oldest_policy_held());
  CHECK_FALSE(f.points.asked());
}

TEST_CASE("points: that of the best evaluation stays, of equals the newest, once it is durable") {
  Fixture f;
  f.job.schedule.keep_best = true;
  f.job.schedule.checkpoint_every_steps = 2;
  const auto kept = [&] {
    std::vector<uint64_t> versions;
    for (const auto& one : tests::all_of<command::KeepBest>(f.outbox.take())) {
      versions.push_back(number(one.point.version));
    }
    return versions;
  };
  using Versions = std::vector<uint64_t>;
  std::vector<EvaluationRecord> evaluations = {evaluation(2, 5), evaluation(3, 9),
                                               evaluation(2, 10, /*is_gate=*/true)};
  f.points.keep_best(evaluations);
  CHECK(kept() == Versions{});  // It is not there yet; version 3 gets none.
  f.keep(2, evaluations);
  CHECK(kept() == Versions{2});
  f.keep(4, evaluations);
  CHECK(kept() == Versions{});
  evaluations.push_back(evaluation(4, 5));
  f.points.keep_best(evaluations);
  f.points.keep_best(evaluations);
  CHECK(kept() == Versions{4});
  evaluations.push_back(evaluation(6, 4));
  f.keep(6, evaluations);
  CHECK(kept() == Versions{});
}

}  // namespace
}  // namespace troupe::actors

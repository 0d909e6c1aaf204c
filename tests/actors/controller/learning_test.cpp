#include "actors/controller/learning.h"

#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

StepLearned learned(uint64_t version, double loss = 1, bool was_finite = true) {
  StepLearned step;
  step.metrics.version = PolicyVersion{version};
  step.metrics.loss = loss;
  step.metrics.was_finite = was_finite;
  step.metrics.was_skipped = !was_finite;
  step.core_seconds = 3;
  return step;
}

StepRecord record(uint64_t version, double loss = 1) {
  return {.metrics = learned(version, loss).metrics};
}

std::optional<double> no_gate(uint64_t) { return std::nullopt; }

struct Fixture : tests::ControllerParts {
  Learning begin(uint64_t point = 0, std::vector<StepRecord> steps = {}) {
    return {job,     cold_start, timetable, {.newest_point = point, .steps = std::move(steps)},
            commits, outbox};
  }
  // Steps of one group each are sent, up to there.
  void send_until(Learning& learning, uint64_t version) {
    while (learning.position().sent < version) {
      const uint64_t sent = learning.position().sent;
      learning.send(learning.grpo_step({.index = timetable.minibatch_at(sent),
                                        .ids = {{Round{timetable.round_at(sent)}, 1}},
                                        .groups = {{std::byte{1}}}}));
    }
  }
  std::vector<std::vector<DemonstrationTokens>> cold_start{
      2, {{.tokens = {1, 2}, .loss_mask = {0, 1}}}};
};

TEST_CASE("learning: an answer to a step that was not asked for fails the job") {
  Fixture f;
  Learning learning = f.begin();
  REQUIRE(learning.learner_ready(PolicyVersion{0}, no_gate));
  f.send_until(learning, 2);
  CHECK_FALSE(learning.learned(learned(2), RoundFigures{}));
  REQUIRE(learning.learned(learned(1), RoundFigures{}));
  CHECK_FALSE(learning.learned(learned(1), RoundFigures{}));  // Twice.
  REQUIRE(learning.learned(learned(2), RoundFigures{}));
  CHECK(learning.is_caught_up());
  const auto beyond = learning.learned(learned(3), RoundFigures{});
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().message.find("asked for steps up to 2") != std::string::npos);
}

TEST_CASE("learning: a step that is learned again gives the same bits or fails the job") {
  Fixture f;
  Learning learning = f.begin(1, {record(1), record(2, 0.1), record(3), record(4)});
  REQUIRE(learning.learner_ready(PolicyVersion{1}, no_gate));
  f.send_until(learning, 5);
  static_cast<void>(f.outbox.take());
  REQUIRE(learning.learned(learned(2, 0.1), std::nullopt));
  CHECK(f.commits.ledger().steps_redone == 1);
  CHECK(f.commits.ledger().wasted_seconds == 3);
  CHECK(f.outbox.take().empty());  // It has its record.
  CHECK_FALSE(learning.learned(learned(3, 1.0000001), std::nullopt));
  learning.forget_until(4);
  CHECK(learning.learned(learned(4, 2), std::nullopt));  // Nobody knows it any more.
  REQUIRE(learning.learned(learned(5), RoundFigures{}));
  CHECK(tests::all_of<command::Commit>(f.outbox.take()).size() == 1);
}

TEST_CASE("learning: a record that is missing is written, and those behind it again") {
  Fixture f;
  Learning learning = f.begin(0, {record(1), record(3)});
  REQUIRE(learning.learner_ready(PolicyVersion{0}, no_gate));
  f.send_until(learning, 3);
  static_cast<void>(f.outbox.take());
  REQUIRE(learning.learned(learned(1), std::nullopt));
  CHECK(f.outbox.take().empty());
  for (uint64_t version : {2, 3}) {
    REQUIRE(learning.learned(learned(version, 7), RoundFigures{}));
    CHECK(tests::all_of<command::Commit>(f.outbox.take()).size() == 1);
  }
}

TEST_CASE("learning: what belongs to a round is said by its first step, what a step took by each") {
  Fixture f;
  f.job.grpo.minibatches_per_round = 2;
  Learning learning = f.begin();
  REQUIRE(learning.learner_ready(PolicyVersion{0}, no_gate));
  f.send_until(learning, 4);
  static_cast<void>(f.outbox.take());
  RoundFigures round{.generate_seconds = 5, .verify_seconds = 6, .has_segments = true};
  round.metrics.tokens_generated = 70;
  round.metrics.accuracy = 0.5;
  std::vector<StepRecord> steps;
  for (uint64_t version : {1, 2, 3}) {
    round.has_segments = version != 3;
    REQUIRE(learning.learned(learned(version, 9), round));
    const auto made = tests::all_of<command::Commit>(f.outbox.take());
    REQUIRE(made.size() == 1);
    steps.push_back(tests::written(made[0].batch, RecordKind::kStep, decode_step_record));
    CHECK(made[0].batch.erases.size() == (version == 3 ? 0u : 1u));
  }
  const StepMetrics& first = steps[0].metrics;
  CHECK(first.generate_seconds == 5);
  CHECK(first.verify_seconds == 6);
  CHECK(first.tokens_generated == 70);
  CHECK(first.stage_step == 1);
  CHECK(first.loss == 9);
  CHECK(steps[1].metrics.generate_seconds == 0);
  CHECK(steps[1].metrics.verify_seconds == 0);
  CHECK(steps[1].metrics.tokens_generated == 0);
  CHECK(steps[1].metrics.accuracy == 0.5);
  CHECK(steps[2].metrics.tokens_generated == 70);
  CHECK(steps[2].consumed == std::vector<GroupId>{{Round{1}, 1}});
  CHECK(f.commits.ledger().trajectories_learned == 6);
}

TEST_CASE("learning: steps without a finite gradient are counted over a restart, empty ones not") {
  Fixture f;
  f.job.optimizer.non_finite_steps_max = 3;
  StepRecord bad = record(1);
  bad.metrics.was_finite = false;
  Learning learning = f.begin(0, {bad});
  REQUIRE(learning.learner_ready(PolicyVersion{0}, no_gate));
  f.send_until(learning, 6);
  REQUIRE(learning.learned(learned(1, 1, false), std::nullopt));
  StepLearned empty = learned(2);
  empty.metrics.was_skipped = true;
  REQUIRE(learning.learned(empty, RoundFigures{}));
  REQUIRE(learning.learned(learned(3, 1, false), RoundFigures{}));
  CHECK(f.commits.ledger().trajectories_dropped.at("not_finite") == 2);
  SUBCASE("three are too many") {
    CHECK_FALSE(learning.learned(learned(4, 1, false), RoundFigures{}));
  }
  SUBCASE("one that is finite begins the count anew") {
    REQUIRE(learning.learned(learned(4), RoundFigures{}));
    REQUIRE(learning.learned(learned(5, 1, false), RoundFigures{}));
    CHECK(learning.learned(learned(6, 1, false), RoundFigures{}));
  }
}

TEST_CASE("learning: the cold start goes on where the learner is, by the gates that it had") {
  Fixture f;
  f.job.data.cold_start = {"first.jsonl", "second.jsonl"};
  f.job.sft.steps = 40;
  f.job.sft.gate_pass_at_1 = 0.5;
  Learning learning = f.begin(0, {});
  const auto missing = learning.learner_ready(PolicyVersion{30}, no_gate);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kCorruption);
  learning.learner_lost();
  CHECK_FALSE(learning.is_ready());

  // The first part is half of the steps, and prolonged by two.
  const auto gate_at = [](uint64_t version) { return std::optional(version == 20 ? 0.0 : 1.0); };
  REQUIRE(learning.learner_ready(PolicyVersion{21}, gate_at));
  const auto step = learning.next_sft_step();
  REQUIRE(step);
  CHECK(step->version == PolicyVersion{22});
  learning.send(*step);
  CHECK_FALSE(learning.next_sft_step());
  CHECK(learning.pass_gate(0.0));  // Said, because it is new.
  CHECK(learning.next_sft_step());
}

TEST_CASE("learning: what a gate said is not said again") {
  Fixture f;
  f.job.data.cold_start = {"first.jsonl", "second.jsonl"};
  f.job.sft.steps = 40;
  f.job.sft.gate_pass_at_1 = 0.5;
  std::vector<StepRecord> steps;
  for (uint64_t version = 1; version <= 21; ++version) steps.push_back(record(version));
  Learning learning = f.begin(0, steps);
  REQUIRE(learning.learner_ready(PolicyVersion{0}, no_gate));
  while (auto step = learning.next_sft_step()) learning.send(*step);
  CHECK(learning.position().sent == 20);
  CHECK_FALSE(learning.pass_gate(0.0));
}

TEST_CASE("learning: a learner has so many steps before it and no more") {
  Fixture f;
  f.job.grpo.steps = 20;
  Learning learning = f.begin();
  REQUIRE(learning.learner_ready(PolicyVersion{0}, no_gate));
  f.send_until(learning, 5);
  CHECK_FALSE(learning.is_full());
  f.send_until(learning, 6);
  CHECK(learning.is_full());
  REQUIRE(learning.learned(learned(1), RoundFigures{}));
  CHECK_FALSE(learning.is_full());
}

}  // namespace
}  // namespace troupe::actors

#include "actors/controller/held_out.h"

#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

using tests::response;

struct Fixture : tests::ControllerParts {
  HeldOut held_out{job, data, timetable, {}, commits, outbox, sink};

  void generated(uint64_t version, uint32_t problem, const std::string& text) {
    held_out.generated({.id = {Round{version}, problem},
                        .purpose = GroupPurpose::kEvaluate,
                        .responses = {response(text)}});
  }
  void judged(uint64_t version, uint32_t problem, const Verdict& verdict) {
    held_out.judged({.id = {Round{version}, problem},
                     .purpose = GroupPurpose::kEvaluate,
                     .verdicts = {verdict}});
  }
  size_t num_to_judge() { return tests::all_of<command::Judge>(outbox.take()).size(); }
  // What was committed of it; it must have been, once.
  EvaluationRecord finished(double now) {
    held_out.finish(now);
    held_out.finish(now);
    const auto made = tests::all_of<command::Commit>(outbox.take());
    REQUIRE(made.size() == 1);
    REQUIRE(commits.committed(made[0].ticket).evaluation);
    return tests::written(made[0].batch, RecordKind::kEvaluation, decode_evaluation_record);
  }
};

TEST_CASE("held out: wanted at the end of the cold start, every so many steps and at the end") {
  Fixture f;
  f.job.sft.steps = 3;
  f.job.grpo.steps = 5;
  const auto wanted = [&] {
    std::vector<uint64_t> versions;
    for (uint64_t version = 0; version <= f.timetable.last_version(); ++version) {
      if (f.held_out.is_wanted(version)) versions.push_back(version);
    }
    return versions;
  };
  CHECK(wanted() == std::vector<uint64_t>{3, 5, 7, 8});
  EvaluationRecord known;
  known.metrics.version = PolicyVersion{5};
  f.held_out.durable(known);
  known.metrics.version = PolicyVersion{7};
  known.is_gate = true;  // Another question.
  f.held_out.durable(known);
  CHECK(wanted() == std::vector<uint64_t>{3, 7, 8});
  f.job.grpo.steps = 0;
  CHECK(wanted() == std::vector<uint64_t>{3});
  f.data.held_out.clear();
  CHECK(wanted().empty());
}

TEST_CASE("held out: an answer counts once, of the version that is asked for") {
  Fixture f;
  f.held_out.begin(4, /*is_gate=*/false, 10);
  const auto asked = tests::all_of<command::Generate>(f.outbox.take());
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].groups.groups.size() == 2);
  f.generated(3, 0, "x");
  f.generated(4, 2, "x");  // Of two problems.
  f.judged(4, 0, tests::right());
  CHECK(f.num_to_judge() == 0);
  f.generated(4, 0, "<think>a</think>");
  f.generated(4, 0, "y");
  f.generated(4, 1, "yy");
  CHECK(f.num_to_judge() == 2);
  f.judged(4, 0, tests::right());
  f.judged(4, 0, tests::wrong());
  f.held_out.finish(12);
  CHECK(f.outbox.take().empty());
  CHECK(f.held_out.waits_for().find("1 of 2") != std::string::npos);
  f.judged(4, 1, tests::wrong());

  const EvalMetrics metrics = f.finished(13).metrics;
  CHECK(metrics.version == PolicyVersion{4});
  CHECK(metrics.problems == 2);
  CHECK(metrics.solved == 1);
  CHECK(metrics.tokens_generated == 18);
  CHECK(metrics.response_length_mean == 9);
  CHECK(metrics.thinking_share == 0.5);
  CHECK(metrics.seconds == 3);
}

TEST_CASE("held out: a problem that cannot be judged is left out, not wrong") {
  Fixture f;
  f.held_out.begin(4, /*is_gate=*/false, 0);
  f.generated(4, 0, "x");
  f.generated(4, 1, "x");
  static_cast<void>(f.outbox.take());
  for (size_t again : {1, 1, 0}) {
    f.judged(4, 0, tests::failed());
    CHECK(f.num_to_judge() == again);
  }
  CHECK(f.commits.ledger().verdicts.at("infra_error") == 3);
  CHECK(f.sink.notes.size() == 1);
  f.judged(4, 1, tests::right());
  CHECK_FALSE(f.held_out.abandoned({Round{4}, 1}, "attempts"));  // It is judged already.
  const EvalMetrics metrics = f.finished(1).metrics;
  CHECK(metrics.problems == 1);
  CHECK(metrics.solved == 1);
}

TEST_CASE("held out: without any problem left it ends all the same") {
  Fixture f;
  f.held_out.begin(4, /*is_gate=*/false, 0);
  static_cast<void>(f.outbox.take());
  CHECK(f.held_out.abandoned({Round{4}, 0}, "attempts"));
  CHECK(f.held_out.abandoned({Round{4}, 0}, "attempts"));
  f.held_out.finish(1);
  CHECK(f.outbox.take().empty());
  CHECK_FALSE(f.held_out.abandoned({Round{3}, 1}, "attempts"));
  CHECK(f.held_out.abandoned({Round{4}, 1}, "attempts"));
  CHECK(f.finished(1).metrics.problems == 0);
}

TEST_CASE("held out: the gate is greedy, on all problems, and people are not told of it") {
  Fixture f;
  f.job.eval.temperature = 0.7;
  f.held_out.begin(4, /*is_gate=*/true, 0);
  const auto asked = tests::all_of<command::Generate>(f.outbox.take());
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].groups.groups.size() == 4);
  CHECK(asked[0].groups.temperature == 0);
  CHECK_FALSE(f.held_out.gate_pass_at_1(4));
  for (uint32_t problem = 0; problem < 4; ++problem) {
    f.generated(4, problem, "x");
    f.judged(4, problem, problem == 0 ? tests::right() : tests::wrong());
  }
  const EvaluationRecord record = f.finished(1);
  CHECK(f.held_out.is_under_way());
  f.held_out.durable(record);
  CHECK_FALSE(f.held_out.is_under_way());
  CHECK(f.held_out.gate_pass_at_1(4) == 0.25);
  CHECK(f.sink.evaluations.empty());
  f.held_out.begin(4, /*is_gate=*/false, 0);
  f.held_out.durable(record);  // An earlier one does not end the one that has begun.
  CHECK(f.held_out.is_under_way());
}

}  // namespace
}  // namespace troupe::actors

#include "cluster/monitor/run_board.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

StepMetrics step(uint64_t version) {
  StepMetrics step;
  step.stage = Stage::kGrpo;
  step.version = PolicyVersion{version};
  step.reward_mean = 0.25 * static_cast<double>(version);
  step.reward_values = {{"accuracy", 0.5}};
  step.verdicts = {{"accuracy/equal", 3}};
  return step;
}

RunSample busy(double rollout, double learner) {
  RunSample sample;
  sample.rollout_busy_share = rollout;
  sample.learner_busy_share = learner;
  return sample;
}

// What a reader sees of a table, as text.
std::string seen(const CurveTable& table) {
  const CurvePoints points = table.read(table.names(), 1'000, {});
  return to_text(
      nlohmann::ordered_json{{"x", points.x}, {"time", points.time}, {"y", points.curves}});
}

TEST_CASE("run_board: what was written restores the same curves") {
  RunBoard live, restored;
  for (uint64_t i = 1; i <= 50; ++i) {
    const auto time = 1'000.0 + static_cast<double>(i);
    for (const MetricLine& line :
         {live.add(step(i), time), live.sample(busy(0.5, 0.25), time),
          live.add(EvalMetrics{.version = PolicyVersion{i}, .problems = 4, .solved = 1}, {},
                   time)}) {
      CHECK(restored.restore(parse_json(to_text(line))));
    }
  }
  CHECK(seen(live.steps()) == seen(restored.steps()));
  CHECK(seen(live.evaluations()) == seen(restored.evaluations()));
  CHECK(seen(live.samples()) == seen(restored.samples()));
  const CurvePoints points = live.steps().read(
      {"reward/mean", "rewards/accuracy/mean", "verdicts/accuracy/equal"}, 100, {});
  CHECK(points.curves.at("reward/mean")[3] == 1);
  CHECK(points.curves.at("rewards/accuracy/mean")[3] == 0.5);
  CHECK(points.curves.at("verdicts/accuracy/equal")[3] == 3);
  CHECK(live.evaluations().read({"eval/interval_95/low"}, 100, {}).curves.size() == 1);
}

TEST_CASE("run_board: what is no line of metrics is passed over") {
  RunBoard board;
  for (const char* text : {"", "{", "[]", "7", "{}", R"({"stage":7)", R"({"x":{"y":1}})"}) {
    CHECK_FALSE(board.restore(parse_json(text)));
  }
  // Values of a kind that none should have are no reason to fail.
  CHECK(board.restore(parse_json(R"({"stage":"grpo","policy_version":"x","loss":[1,2,3]})")));
  CHECK(board.steps().read({"loss"}, 10, {}).curves.empty());
}

TEST_CASE("run_board: samples that come faster than one a second are one row") {
  RunBoard board;
  for (int i = 0; i < 20; ++i) board.sample(busy(1, 1), 100 + 0.5 * i);
  CHECK(board.samples().num_rows() == 10);
}

TEST_CASE("run_board: events are bounded, numbered and printable") {
  RunBoard board;
  for (int i = 0; i < 2'000; ++i) board.note("note \x1b[2J " + std::to_string(i), i);
  CHECK(board.events().size() == RunBoard::kEventsMax);
  CHECK(board.events().back().sequence == 2'000);
  CHECK(board.events().back().text.find('\x1b') == std::string::npos);
}

TEST_CASE("run_board: a run that goes on has the curves from before") {
  RunBoard past, now;
  for (uint64_t i = 1; i <= 10; ++i) past.add(step(i), static_cast<double>(i));
  for (uint64_t i = 8; i <= 12; ++i) now.add(step(i), 100 + static_cast<double>(i));
  now.follow(std::move(past));
  const CurvePoints points = now.steps().read({"reward/mean"}, 100, {});
  REQUIRE(points.x.size() == 12);
  CHECK(points.time[6] == 7);
  CHECK(points.time[7] == 108);
}

TEST_CASE("waiting: the one who has nothing to do waits for whoever has") {
  RunSample sample = busy(1, 0);
  sample.groups_generating = 12;
  CHECK(waiting_in(sample) == WaitingShares{.learner_for_rollout = 1});
  CHECK(who_waits(sample).find("learner waits for rollout: 12 groups") != std::string::npos);
  sample = busy(0, 0);
  sample.groups_judging = 1;
  CHECK(waiting_in(sample) == WaitingShares{.learner_for_verifier = 1, .rollout_for_verifier = 1});
  CHECK(who_waits(sample).find("1 group being judged") != std::string::npos);
  sample = busy(0.25, 1);
  sample.steps_learning = 1;
  CHECK(waiting_in(sample) == WaitingShares{.rollout_for_learner = 0.75});
  sample = busy(1, 1);
  sample.steps_learning = 1;
  sample.groups_generating = 3;
  CHECK(waiting_in(sample) == WaitingShares{});
  CHECK(who_waits(sample).find("nobody waits") == 0);
  sample = busy(0, 0);
  sample.groups_committing = 2;
  CHECK(waiting_in(sample) == WaitingShares{.learner_for_store = 1});
}

TEST_CASE("waiting: the worst worker is the one whose count grows slowest over the last minute") {
  WorkerPace pace;
  WorkerPace::Rates rates;
  for (int second = 0; second <= 200; ++second) {
    RunSample sample;
    for (uint32_t slot = 0; slot < 3; ++slot) {
      sample.workers.push_back(
          {.slot = slot, .roles = slot == 2 ? "verifier" : "rollout", .is_ready = true});
    }
    // The second one stops after a while.
    sample.workers[0].tokens_generated = static_cast<uint64_t>(second) * 100;
    sample.workers[1].tokens_generated = static_cast<uint64_t>(std::min(second, 100)) * 50;
    rates = pace.add(sample, second);
    if (second == 90) {
      CHECK(rates.worst == doctest::Approx(50));
      CHECK(rates.mean == doctest::Approx(75));
    }
  }
  CHECK(rates.num_workers == 2);
  CHECK(rates.worst == 0);
  CHECK(rates.worst_slot == 1);
  CHECK(rates.by_slot.at(0) == doctest::Approx(100));
}

}  // namespace
}  // namespace troupe::cluster

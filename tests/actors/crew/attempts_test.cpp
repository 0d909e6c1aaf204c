#include "actors/crew/attempts.h"

#include <doctest/doctest.h>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;

constexpr GroupKey kGroup{{Round{2}, 7}, GroupPurpose::kTrain};
constexpr GroupKey kEvaluated{{Round{2}, 7}, GroupPurpose::kEvaluate};

TEST_CASE(
    "attempts: faults add up over everything between them, and the last one drops the group") {
  PoolOutbox outbox(1);
  Attempts attempts({.faults_max = 3}, outbox);
  CHECK(attempts.lost(kGroup, Loss::kFault, 0, "a"));
  CHECK(attempts.lost(kGroup, Loss::kKilled, 0, "b"));
  attempts.came_further(kGroup);
  CHECK(attempts.lost(kGroup, Loss::kFault, 0, "c"));
  CHECK(said<pool::GroupRetried>(outbox).size() == 3);
  CHECK_FALSE(attempts.lost(kGroup, Loss::kFault, 0, "d"));
  const auto commands = outbox.take();
  REQUIRE(commands.size() == 2);
  CHECK(std::get<pool::Note>(commands[0]).line ==
        "round 2, group 7 is given up: 3 of its workers ended, the last: d");
  CHECK(std::get<pool::GroupAbandoned>(commands[1]).id == kGroup.id);
}

TEST_CASE(
    "attempts: only kills in a row ask for a person, and the group is kept for the next head") {
  PoolOutbox outbox(1);
  Attempts attempts({.kills_max = 3}, outbox);
  const auto kill = [&](int times) {
    for (int i = 0; i < times; ++i) CHECK(attempts.lost(kGroup, Loss::kKilled, 0, "killed"));
  };
  kill(2);
  attempts.came_further(kGroup);
  kill(2);
  CHECK(attempts.lost(kGroup, Loss::kFault, 0, "exited"));
  kill(2);
  CHECK(said<pool::GiveUp>(outbox).empty());
  kill(1);
  const auto given_up = said<pool::GiveUp>(outbox);
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].state == JobState::kPaused);
}

TEST_CASE("attempts: faults outlive the head, a row of kills ends with it") {
  PoolOutbox outbox(1);
  Attempts attempts({.faults_max = 3, .kills_max = 3}, outbox);
  attempts.restore({{.id = kGroup.id, .faults = 2, .kills = 2}});
  CHECK(attempts.is_suspect(kGroup));
  CHECK(attempts.lost(kGroup, Loss::kKilled, 1.5, "killed"));
  const auto retried = said<pool::GroupRetried>(outbox);
  REQUIRE(retried.size() == 1);
  CHECK(retried[0].record.faults == 2);
  CHECK(retried[0].record.kills == 1);
  CHECK(retried[0].core_seconds == 1.5);
  CHECK_FALSE(attempts.lost(kGroup, Loss::kFault, 0, "exited"));
}

TEST_CASE("attempts: an evaluation's group is not the round's of the same number") {
  PoolOutbox outbox(1);
  Attempts attempts({.faults_max = 1}, outbox);
  CHECK_FALSE(attempts.lost(kEvaluated, Loss::kFault, 0, "exited"));
  CHECK(said<pool::GroupAbandoned>(outbox).at(0).purpose == GroupPurpose::kEvaluate);
  CHECK(attempts.is_suspect(kEvaluated));
  CHECK_FALSE(attempts.is_suspect(kGroup));
}

TEST_CASE("attempts: who was killed is no suspect, and what was judged begins anew") {
  PoolOutbox outbox(1);
  Attempts attempts({.faults_max = 2}, outbox);
  CHECK(attempts.lost(kGroup, Loss::kKilled, 0, "killed"));
  CHECK_FALSE(attempts.is_suspect(kGroup));
  CHECK(attempts.lost(kGroup, Loss::kFault, 0, "exited"));
  CHECK(attempts.is_suspect(kGroup));
  attempts.judged(kGroup);
  CHECK_FALSE(attempts.is_suspect(kGroup));
  CHECK(attempts.lost(kGroup, Loss::kFault, 0, "exited"));
}

}  // namespace
}  // namespace troupe::actors

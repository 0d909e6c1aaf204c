#include "actors/crew/slots.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;

constexpr SlotPlan kVerifier{.roles = {.verifier = true}};
constexpr SlotPlan kRollout{.roles = {.rollout = true}};
constexpr SlotPlan kLearner{.roles = {.learner = true}};

// Slots, and what they have said.
struct Fixture {
  explicit Fixture(const std::vector<SlotPlan>& plans, PoolOptions options = {},
                   const std::vector<Survivor>& survivors = {})
      : slots(plans, std::move(options), outbox) {
    slots.start(now, survivors);
  }
  // The process that was started last says hello; the epoch of its lease.
  uint64_t leased(uint32_t slot, uint64_t pid) {
    slots.started(slot, "token", pid, now);
    const auto epoch = slots.hello({.slot = slot, .token = "token", .arithmetic_id = "cpu-1"}, now);
    REQUIRE(epoch);
    return *epoch;
  }
  uint64_t ready(uint32_t slot, uint64_t pid) {
    const uint64_t epoch = leased(slot, pid);
    CHECK(slots.ready(slot, now));
    return epoch;
  }
  size_t num_starts() { return said<pool::Start>(outbox).size(); }

  double now = 0;
  PoolOutbox outbox{1};
  Slots slots;
};

TEST_CASE("slots: each process has an epoch of its own, and only under that it is heard") {
  Fixture f({kVerifier, kVerifier}, {.first_epoch = 40});
  const uint64_t first = f.ready(0, 11);
  const uint64_t other = f.ready(1, 12);
  CHECK(first >= 40);
  CHECK(f.slots.heard(0, first, f.now));
  CHECK_FALSE(f.slots.heard(0, other, f.now));
  CHECK(f.slots.ended({.slot = 0, .pid = 11, .signal = SIGKILL}, f.now));
  CHECK_FALSE(f.slots.heard(0, first, f.now));
  CHECK_FALSE(f.slots.heard(0, 0, f.now));  // Nobody has a lease now.
  f.slots.tick(0, f.now);
  const uint64_t second = f.ready(0, 13);
  CHECK(second > std::max(first, other));
  CHECK_FALSE(f.slots.heard(0, first, f.now));
  CHECK(f.slots.heard(0, second, f.now));
  CHECK_FALSE(f.slots.heard(2, second, f.now));
}

TEST_CASE("slots: who had been ready is replaced at once, who does not come up ever later") {
  Fixture f({kVerifier});
  const auto waits = [&f] {
    f.outbox.take();
    const double begun = f.now;
    while (true) {
      f.slots.tick(0, f.now);
      if (f.num_starts() > 0) return f.now - begun;
      f.now += 0.125;
    }
  };
  for (const double wait : {0.0, 0.25, 0.5}) {
    CHECK(f.slots.start_failed(0, "no memory", f.now));
    CHECK(waits() == wait);
  }
  for (uint64_t pid : {21, 22}) {
    f.ready(0, pid);
    CHECK(f.slots.ended({.slot = 0, .pid = pid, .exit_code = 1}, f.now));
    CHECK(waits() == 0);
  }
  CHECK(f.slots.start_failed(0, "no memory", f.now));
  CHECK(waits() == 0.25);
}

TEST_CASE(
    "slots: what does not come up often enough pauses the job, what was ready does not count") {
  Fixture f({kVerifier}, {.starts_max = 3});
  const auto fail = [&f] {
    CHECK(f.slots.start_failed(0, "no memory", f.now));
    f.slots.tick(0, f.now += 10);
  };
  fail();
  fail();
  f.ready(0, 7);
  CHECK(f.slots.ended({.slot = 0, .pid = 7, .exit_code = 1}, f.now));
  f.slots.tick(0, f.now);
  fail();
  CHECK(said<pool::GiveUp>(f.outbox).empty());
  fail();
  const auto given_up = said<pool::GiveUp>(f.outbox);
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].state == JobState::kPaused);
}

TEST_CASE("slots: who goes with its team is replaced at once, and has not failed to come up") {
  Fixture f({kLearner, kLearner}, {.starts_max = 3});
  for (uint64_t pid = 11; pid < 17; ++pid) {
    CAPTURE(pid);
    CHECK(f.num_starts() == (pid == 11 ? 2 : 1));
    f.leased(0, pid);
    f.slots.lose(0, Loss::kTeam, "with its team", f.now);
    CHECK(said<pool::GiveUp>(f.outbox).empty());
    f.slots.tick(0, f.now);
  }
}

TEST_CASE("slots: a process that is started too late for its slot is ended") {
  Fixture f({kVerifier}, {.start_max = 60});
  CHECK_FALSE(f.slots.tick(0, f.now = 60));
  CHECK(f.slots.tick(0, f.now = 60.5)->loss == Loss::kFault);
  CHECK(said<pool::Kill>(f.outbox).empty());  // There is none yet.
  f.slots.started(0, "token", 7, f.now);
  const auto killed = said<pool::Kill>(f.outbox);
  REQUIRE(killed.size() == 1);
  CHECK(killed[0].pid == 7);
  CHECK_FALSE(f.slots.hello({.slot = 0, .token = "token", .arithmetic_id = "cpu-1"}, f.now));
}

TEST_CASE("slots: other arithmetic gets no lease, and the job hears of it") {
  Fixture f({kRollout, kVerifier}, {.arithmetic_id = "cpu-1"});
  f.slots.started(0, "token", 7, f.now);
  f.slots.started(1, "other", 8, f.now);
  // Verdicts are no arithmetic's.
  CHECK(f.slots.hello({.slot = 1, .token = "other", .arithmetic_id = "cpu-0"}, f.now));
  CHECK(said<pool::GiveUp>(f.outbox).empty());
  CHECK_FALSE(f.slots.hello({.slot = 0, .token = "token", .arithmetic_id = "cpu-0"}, f.now));
  CHECK(said<pool::GiveUp>(f.outbox).at(0).state == JobState::kFailed);
  CHECK_FALSE(f.slots.ready(0, f.now));
}

TEST_CASE("slots: silence counts from the hello on, and not while this process stood still") {
  Fixture f({kVerifier}, {.silence_max = 2});
  CHECK_FALSE(f.slots.tick(0, f.now = 30));
  const uint64_t epoch = f.leased(0, 7);
  CHECK_FALSE(f.slots.tick(0, f.now += 2));
  f.slots.stood_still(100, f.now += 100);
  CHECK_FALSE(f.slots.tick(0, f.now));
  // What was heard meanwhile is not from the future.
  CHECK(f.slots.heard(0, epoch, f.now));
  f.slots.stood_still(100, f.now);
  const auto lost = f.slots.tick(0, f.now += 2.5);
  REQUIRE(lost);
  CHECK(lost->loss == Loss::kKilled);
  CHECK(lost->why == "silent for 2.5 s");
}

TEST_CASE("slots: a connection that is gone says less than the process's end, and waits for it") {
  Fixture f({kVerifier}, {.disconnected_max = 0.5});
  uint64_t epoch = f.ready(0, 7);
  f.slots.disconnected(0, epoch - 1, f.now);  // Another's.
  CHECK_FALSE(f.slots.tick(0, f.now += 1));
  f.slots.disconnected(0, epoch, f.now);
  CHECK_FALSE(f.slots.tick(0, f.now += 0.5));
  const auto ended = f.slots.ended({.slot = 0, .pid = 7, .signal = SIGSEGV}, f.now);
  REQUIRE(ended);
  CHECK(ended->loss == Loss::kFault);
  // The next one begins with a connection of its own.
  f.slots.tick(0, f.now);
  epoch = f.ready(0, 8);
  CHECK_FALSE(f.slots.tick(0, f.now += 1));
  f.slots.disconnected(0, epoch, f.now);
  f.slots.disconnected(0, epoch, f.now + 0.4);  // Known already.
  const auto lost = f.slots.tick(0, f.now += 0.6);
  REQUIRE(lost);
  CHECK(lost->loss == Loss::kKilled);
  CHECK_FALSE(f.slots.ended({.slot = 0, .pid = 8, .signal = SIGSEGV}, f.now));
}

TEST_CASE("slots: whose fault an end is") {
  const std::pair<ProcessEnd, Loss> ends[] = {
      {{.signal = SIGSEGV}, Loss::kFault},
      {{.signal = SIGABRT}, Loss::kFault},
      {{.exit_code = 1}, Loss::kFault},
      {{.signal = SIGKILL}, Loss::kKilled},
      {{.signal = SIGTERM}, Loss::kKilled},
      {{.exit_code = 0}, Loss::kKilled},   // It had lost its head.
      {{.exit_code = -1}, Loss::kKilled},  // Only an earlier head could know.
  };
  for (const auto& one : ends) {
    ProcessEnd end = one.first;
    CAPTURE(end.exit_code);
    CAPTURE(end.signal);
    Fixture f({kVerifier});
    f.ready(0, 7);
    end.pid = 6;
    CHECK_FALSE(f.slots.ended(end, f.now));  // One of before.
    end.pid = 7;
    const auto lost = f.slots.ended(end, f.now);
    REQUIRE(lost);
    CHECK(lost->loss == one.second);
  }
}

TEST_CASE("slots: who has outlived its head keeps its process, and is waited for more briefly") {
  Fixture f({kLearner, kRollout, kRollout}, {.start_max = 60, .reconnect_max = 5},
            {{0, 11, "a"}, {1, 12, "b"}, {1, 13, "c"}, {9, 14, "d"}});
  const auto commands = f.outbox.take();
  std::vector<uint64_t> killed;
  std::vector<uint32_t> started;
  for (const auto& command : commands) {
    if (const auto* kill = std::get_if<pool::Kill>(&command)) killed.push_back(kill->pid);
    if (const auto* start = std::get_if<pool::Start>(&command)) started.push_back(start->slot);
  }
  CHECK(killed == std::vector<uint64_t>{11, 13, 14});
  CHECK(started == std::vector<uint32_t>{0, 2});
  CHECK_FALSE(f.slots.tick(1, f.now = 5));
  const auto lost = f.slots.tick(1, f.now = 5.5);
  REQUIRE(lost);
  CHECK(lost->loss == Loss::kKilled);
  CHECK_FALSE(f.slots.tick(2, f.now));
  // Whoever comes after it is like all others.
  f.slots.tick(1, f.now);
  CHECK_FALSE(f.slots.is_survivor(1));
  CHECK_FALSE(f.slots.tick(1, f.now += 50));
}

TEST_CASE("slots: preparing may take long while it goes on") {
  Fixture f({kRollout}, {.silence_max = 2, .prepare_max = 10}, {{0, 11, "token"}});
  const auto epoch = f.slots.hello({.slot = 0, .token = "token", .arithmetic_id = "cpu-1"}, f.now);
  REQUIRE(epoch);
  const auto breathes = [&](double seconds) {
    for (const double end = f.now + seconds; f.now < end;) {
      CHECK(f.slots.heard(0, *epoch, f.now += 1));
      if (f.slots.tick(0, f.now)) return false;
    }
    return true;
  };
  CHECK(breathes(10));
  f.slots.goes_on(0, f.now);
  CHECK(breathes(10));
  CHECK_FALSE(breathes(1));
}

TEST_CASE("slots: nothing begins after the end") {
  Fixture f({kVerifier, kVerifier});
  const uint64_t epoch = f.ready(0, 7);
  f.outbox.take();
  f.slots.shut_down();
  CHECK(said<pool::Kill>(f.outbox).size() == 1);
  CHECK_FALSE(f.slots.heard(0, epoch, f.now));
  for (uint32_t slot : {0, 1}) CHECK_FALSE(f.slots.tick(slot, f.now += 100));
  CHECK(f.num_starts() == 0);
  f.slots.started(1, "token", 8, f.now);
  CHECK(said<pool::Kill>(f.outbox).at(0).pid == 8);
}

TEST_CASE("slots: without a place there is no process, and with one there is") {
  SlotPlan unplaced = kRollout;
  unplaced.is_placed = false;
  Fixture f({kVerifier, unplaced});
  CHECK(f.num_starts() == 1);
  f.now = 100;
  f.slots.heard(0, f.ready(0, 11), f.now);
  f.slots.tick(1, f.now);
  CHECK(f.num_starts() == 0);
  CHECK_FALSE(f.slots.is_placed(1));
  CHECK(f.slots.activity(1).what == "without a place");
  f.slots.take_place(1, "b", f.now);
  CHECK(f.num_starts() == 1);
  CHECK(f.slots.title(1) == "worker 1 (rollout) of host b");
  const uint64_t epoch = f.ready(1, 12);
  // What is given up ends, and that is no loss that counts.
  const auto lost = f.slots.leave_place(1, f.now);
  REQUIRE(lost);
  CHECK(lost->loss == Loss::kTeam);
  const auto kills = said<pool::Kill>(f.outbox);
  REQUIRE(kills.size() == 1);
  CHECK(kills[0].pid == 12);
  CHECK_FALSE(f.slots.heard(1, epoch, f.now));
  CHECK_FALSE(f.slots.leave_place(1, f.now));
  f.slots.tick(1, f.now + 1000);
  CHECK(f.num_starts() == 0);
}

TEST_CASE(
    "slots: of a place that is given up what is on its way there is ended, then another comes") {
  Fixture f({kRollout, kRollout});
  CHECK(f.num_starts() == 2);
  for (const uint32_t slot : {0u, 1u}) {
    CHECK_FALSE(f.slots.leave_place(slot, f.now));
    f.slots.take_place(slot, "", f.now);
  }
  CHECK(f.num_starts() == 0);
  f.slots.started(0, "token", 11, f.now);
  CHECK_FALSE(f.slots.start_failed(1, "no such host", f.now));
  const auto kills = said<pool::Kill>(f.outbox);
  REQUIRE(kills.size() == 1);
  CHECK(kills[0].pid == 11);
  CHECK(f.num_starts() == 0);  // Taken with the kill.
  f.ready(0, 12);
  f.ready(1, 13);
}

TEST_CASE("slots: who has outlived its head and has no place is ended") {
  SlotPlan unplaced = kRollout;
  unplaced.is_placed = false;
  Fixture f({unplaced}, {}, {{.slot = 0, .pid = 7, .token = "old"}});
  const auto kills = said<pool::Kill>(f.outbox);
  REQUIRE(kills.size() == 1);
  CHECK(kills[0].pid == 7);
  CHECK(f.num_starts() == 0);
}

}  // namespace
}  // namespace troupe::actors

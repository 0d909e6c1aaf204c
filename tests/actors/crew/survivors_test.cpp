// Workers that have outlived their head, and the pool of the next one.
#include <doctest/doctest.h>

#include "tests/actors/crew/pool_fixture.h"

namespace troupe::actors {
namespace {

using tests::kLearner;
using tests::kRollout;
using tests::ordinals;
using Fixture = tests::PoolFixture;

// A learner and two rollouts, of which the rollouts have outlived an earlier head.
struct Survivors : tests::PoolFixture {
  Survivors() : PoolFixture({kLearner, kRollout, kRollout}, {{1, 11, "one"}, {2, 12, "two"}}) {}
  std::optional<uint64_t> greets(uint32_t slot, const std::string& token,
                                 std::vector<HeldGroup> holds) {
    const auto epoch = pool.hello(
        {.slot = slot, .token = token, .arithmetic_id = "cpu-1", .holds = std::move(holds)}, now);
    if (epoch) epochs[slot] = *epoch;
    return epoch;
  }
  void is_ready(uint32_t slot, const std::string& sha) {
    say(slot, 0, WorkerReady{.version = PolicyVersion{0}, .weights_sha256 = sha});
  }
  void publish_as(const std::string& sha) {
    pool.publish(PolicyVersion{0}, now);
    say(0, sent<PublishPolicy>().at(0).first.request_id,
        PolicyPublished{.version = PolicyVersion{0}, .path = "0", .weights_sha256 = sha});
  }
};

TEST_CASE("worker pool: who has outlived its head is not started, and asked for what it has") {
  Survivors f;
  const auto starts = f.all<pool::Start>();
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].slot == 0);
  CHECK_FALSE(f.greets(1, "two", {}));
  REQUIRE(f.greets(1, "one", {{{Round{0}, 2}}, {{Round{0}, 3}}, {{Round{9}, 9}}}));
  REQUIRE(f.greets(2, "two", {}));
  CHECK(f.epochs[1] >= 100);
  CHECK(f.sent<Lease>().size() == 2);
  f.bring_up(0);
  f.is_ready(1, "sha");
  f.is_ready(2, "sha");
  f.generate(6);
  f.publish_as("sha");
  // Nobody is asked to load what it has loaded, and nobody else gets what one has in hand.
  const auto given = f.sent<GenerateGroups>();
  REQUIRE(given.size() == 2);
  CHECK(given[0].first.slot == 1);
  CHECK(ordinals(given[0].second) == std::vector<uint32_t>{2, 3});
  CHECK(given[1].first.slot == 2);
  CHECK(ordinals(given[1].second) == std::vector<uint32_t>{0, 1, 4});
  CHECK(given[0].first.request_id >= 100);
}

TEST_CASE("worker pool: a survivor with other weights loads those that are asked for") {
  Survivors f;
  REQUIRE(f.greets(1, "one", {}));
  f.bring_up(0);
  f.is_ready(1, "sha");
  f.generate(1);
  f.publish_as("other");
  const auto loads = f.sent<LoadPolicy>();
  REQUIRE(loads.size() == 1);
  CHECK(loads[0].first.slot == 1);
}

TEST_CASE("worker pool: a survivor that has kept nothing for its new lease gets what all get") {
  Survivors f;
  REQUIRE(f.greets(1, "one", {{{Round{0}, 3}}}));
  f.bring_up(0);
  f.is_ready(1, "");
  f.generate(4);
  f.publish_as("sha");
  const auto loads = f.sent<LoadPolicy>();
  REQUIRE(loads.size() == 1);
  f.say(1, loads[0].first.request_id, PolicyLoaded{});
  CHECK(ordinals(f.sent<GenerateGroups>().at(0).second) == std::vector<uint32_t>{0, 1});
}

TEST_CASE("worker pool: what a survivor had in hand is others' once it is lost or not back") {
  Survivors f;
  REQUIRE(f.greets(1, "one", {{{Round{0}, 0}}}));
  f.bring_up(0);
  f.is_ready(1, "sha");
  f.all<pool::Start>();
  for (; f.now < 6; f.now += 0.5) {
    f.say(0, 0, Heartbeat{});
    f.say(1, 0, Heartbeat{});
    f.pool.tick(f.now);
  }
  // The other has not said hello within five seconds.
  const auto killed = f.all<pool::Kill>();
  REQUIRE(killed.size() == 1);
  CHECK(killed[0].pid == 12);
  CHECK_FALSE(f.greets(2, "two", {}));
  f.pool.tick(f.now);
  CHECK(f.all<pool::Start>().size() == 1);
  f.bring_up(2);
  f.end(1, 9);
  f.generate(2);
  f.publish_as("sha");
  f.say(2, f.sent<LoadPolicy>().at(0).first.request_id, PolicyLoaded{});
  CHECK(ordinals(f.sent<GenerateGroups>().at(0).second) == std::vector<uint32_t>{0});
}

TEST_CASE("worker pool: a learner of an earlier head, and who has no slot, are ended") {
  Fixture f({kLearner, kRollout}, {{0, 11, "a"}, {7, 12, "b"}, {1, 13, "c"}, {1, 14, "d"}});
  std::vector<uint64_t> killed;
  for (const auto& kill : f.all<pool::Kill>()) killed.push_back(kill.pid);
  CHECK(killed == std::vector<uint64_t>{11, 12, 14});
  CHECK(f.all<pool::Start>().size() == 1);
}

TEST_CASE("worker pool: a loading that an earlier head asked for is not the one that is awaited") {
  Survivors f;
  REQUIRE(f.greets(1, "one", {}));
  f.bring_up(0);
  f.is_ready(1, "");
  f.generate(1);
  f.publish_as("sha");
  const auto loads = f.sent<LoadPolicy>();
  REQUIRE(loads.size() == 1);
  f.say(1, 7, PolicyLoaded{});
  CHECK(f.sent<GenerateGroups>().empty());
  f.say(1, loads[0].first.request_id, PolicyLoaded{});
  CHECK(f.sent<GenerateGroups>().size() == 1);
}

TEST_CASE("worker pool: a survivor may take long to end what it has in hand, while that goes on") {
  Survivors f;
  REQUIRE(f.greets(1, "one", {{{Round{0}, 0}}}));
  f.bring_up(0);
  f.all<pool::Kill>();
  const double prepare_max = WorkerPool::Options{}.prepare_max;
  const auto killed_after = [&](double seconds, bool goes_on) {
    for (const double end = f.now + seconds; f.now < end; f.now += 0.5) {
      f.say(0, 0, Heartbeat{});
      f.say(1, 0, Heartbeat{.sequences_done = goes_on ? static_cast<int64_t>(f.now) : 1});
      f.pool.tick(f.now);
    }
    size_t count = 0;
    for (const auto& kill : f.all<pool::Kill>()) count += kill.pid == 11;
    return count;
  };
  CHECK(killed_after(2 * prepare_max, true) == 0);
  CHECK(killed_after(prepare_max + 2, false) == 1);
}

}  // namespace
}  // namespace troupe::actors

#include "actors/crew/generation_queue.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;
using tests::sent;

using Ordinals = std::vector<uint32_t>;

constexpr PolicyVersion kVersion{3};

Ordinals ordinals(const std::vector<PromptGroup>& groups) {
  Ordinals found;
  for (const PromptGroup& group : groups) found.push_back(group.id.ordinal);
  return found;
}

GroupKey train(uint32_t ordinal, uint64_t round = 0) {
  return {{Round{round}, ordinal}, GroupPurpose::kTrain};
}

// A queue of so many rollouts with two threads each.
struct Fixture {
  explicit Fixture(size_t rollouts, PoolOptions options = {})
      : queue(std::vector<SlotPlan>(rollouts, {.roles = {.rollout = true}, .rollout_threads = 2}),
              std::move(options), outbox) {}

  void want(const Ordinals& wanted, uint64_t round = 0, int64_t segment_tokens = 0,
            GroupPurpose purpose = GroupPurpose::kTrain) {
    GenerateGroups request{.version = kVersion, .segment_tokens = segment_tokens};
    for (uint32_t ordinal : wanted) {
      request.groups.push_back({.id = {Round{round}, ordinal}, .purpose = purpose});
    }
    queue.want(std::move(request));
  }
  // What a worker is given when it can take all but these versions' evaluations.
  GenerateGroups give(uint32_t slot) {
    const auto next = queue.next(slot, [&](PolicyVersion, bool is_for_training) {
      return is_for_training ? can_train : can_evaluate;
    });
    if (!next) return {};
    const auto is_suspect = [&](const GroupKey& group) { return suspects.count(group) > 0; };
    queue.give({slot, 10 + slot}, *next, next->version, is_suspect, now);
    auto messages = sent<GenerateGroups>(outbox);
    REQUIRE(messages.size() == 1);
    requests[slot] = messages[0].first.request_id;
    return std::move(messages[0].second);
  }
  auto say(uint32_t slot, GroupsGenerated generated) {
    return queue.arrived(slot, requests[slot], generated, now);
  }
  // All that it was at comes back.
  GenerationQueue::Lost lose(uint32_t slot) {
    auto lost = queue.lost(slot, now);
    for (auto group = lost.groups.rbegin(); group != lost.groups.rend(); ++group) {
      queue.put_back(lost.batch, *group);
    }
    return lost;
  }

  double now = 0;
  bool can_train = true, can_evaluate = true;
  std::set<GroupKey> suspects{};
  std::map<uint32_t, uint64_t> requests{};
  PoolOutbox outbox{1};
  GenerationQueue queue;
};

TEST_CASE("generation queue: an answer of who was asked nothing counts for nothing") {
  Fixture f(2);
  GroupsGenerated generated{.groups = {{.id = {Round{0}, 0}}}, .is_last = true};
  CHECK_FALSE(f.queue.arrived(0, 0, generated, f.now));
  f.want({0});
  CHECK_FALSE(f.queue.arrived(0, 0, generated, f.now));
  CHECK(ordinals(f.give(1).groups) == Ordinals{0});
  CHECK_FALSE(f.queue.arrived(0, 0, generated, f.now));
}

TEST_CASE("generation queue: groups are shared out, and one request at a time is given") {
  Fixture f(2);
  f.want({0, 1, 2, 3, 4});
  CHECK(ordinals(f.give(0).groups) == Ordinals{0, 1, 2});
  CHECK(f.give(0).groups.empty());
  CHECK(ordinals(f.give(1).groups) == Ordinals{3, 4});
  CHECK(f.queue.num_waiting() == 0);
  CHECK(f.queue.num_generating() == 5);
}

TEST_CASE("generation queue: what is given back goes before what waits, in order") {
  Fixture f(2, {.share_max = 3});
  f.want({0, 1, 2, 3, 4, 5});
  f.give(0);
  f.say(0, {.groups = {{.id = {Round{0}, 1}}}});
  f.now = 6;
  const auto lost = f.lose(0);
  CHECK(ordinals(lost.groups) == Ordinals{0, 2});
  CHECK(lost.core_seconds == 6);  // Six seconds of two threads, for two groups.
  CHECK(ordinals(f.give(1).groups) == Ordinals{0, 2, 3});
  CHECK(f.lose(0).groups.empty());
}

TEST_CASE("generation queue: what a worker leaves out goes behind what waits") {
  Fixture f(1, {.share_max = 2});
  f.want({0, 1, 2});
  f.give(0);
  CHECK(f.say(0, {.groups = {{.id = {Round{0}, 1}}}, .is_last = true}));
  CHECK(ordinals(f.give(0).groups) == Ordinals{2, 0});
}

TEST_CASE("generation queue: what nobody asked for is taken out, and each group counts once") {
  Fixture f(2, {.share_max = 1});
  f.want({0, 1});
  f.give(0);
  f.give(1);
  GroupsGenerated both{.groups = {{.id = {Round{0}, 0}}, {.id = {Round{0}, 1}}}};
  CHECK(f.queue.arrived(0, f.requests[0], both, f.now));
  REQUIRE(both.groups.size() == 1);
  CHECK(both.groups[0].id.ordinal == 0);
  CHECK(f.queue.arrived(0, f.requests[0], both, f.now));
  CHECK(both.groups.empty());
  CHECK_FALSE(f.queue.arrived(0, f.requests[1], both, f.now));
}

TEST_CASE(
    "generation queue: evaluations come first, then older rounds, if the worker can take them") {
  Fixture f(1);
  f.want({0}, 5);
  f.want({0}, 4);
  f.want({0}, 9, 0, GroupPurpose::kEvaluate);
  const auto round_after = [&f] {
    const auto given = f.give(0);
    CHECK(f.say(0, {.groups = {{.id = given.groups.at(0).id, .purpose = given.groups[0].purpose}},
                    .is_last = true}));
    return number(given.groups[0].id.round);
  };
  f.can_evaluate = false;
  CHECK(round_after() == 4);
  f.can_evaluate = true;
  CHECK(round_after() == 9);
  f.can_train = false;
  CHECK(f.give(0).groups.empty());
  f.can_train = true;
  CHECK(round_after() == 5);
}

TEST_CASE("generation queue: a group that may have ended its worker takes no others with it") {
  Fixture f(1);
  f.want({0, 1, 2, 3});
  f.suspects = {train(1)};
  const auto next = [&f] {
    const auto given = f.give(0);
    GroupsGenerated all{.is_last = true};
    for (const PromptGroup& group : given.groups) all.groups.push_back({.id = group.id});
    CHECK(f.say(0, all));
    return ordinals(given.groups);
  };
  CHECK(next() == Ordinals{0});
  CHECK(next() == Ordinals{1});
  CHECK(next() == Ordinals{2, 3});
}

TEST_CASE("generation queue: who has a group in hand is asked first, and only for what it has") {
  Fixture f(2, {.share_max = 1});
  CHECK(f.queue.hold(0, {{{Round{0}, 2}}, {{Round{0}, 3}}}) == 2);
  CHECK(f.queue.hold(1, {{{Round{0}, 3}}, {{Round{0}, 9}}}) == 1);
  f.want({0, 2, 3});
  // No more than it has, and others get the rest.
  CHECK(ordinals(f.give(1).groups) == Ordinals{0});
  CHECK(f.queue.next(1, [](PolicyVersion, bool) { return true; }) == std::nullopt);
  CHECK(ordinals(f.give(0).groups) == Ordinals{2});
  // Asked for once; from then on it is like all others.
  f.lose(0);
  CHECK(f.say(1, {.groups = {{.id = {Round{0}, 0}}}, .is_last = true}));
  CHECK(ordinals(f.give(1).groups) == Ordinals{2});
}

TEST_CASE("generation queue: what the lost had in hand is anybody's") {
  Fixture f(2);
  f.queue.hold(0, {{{Round{0}, 0}}});
  f.queue.hold(1, {{{Round{0}, 1}}});
  f.want({0, 1});
  f.queue.lost(0, f.now);
  CHECK(ordinals(f.give(1).groups) == Ordinals{1});
  CHECK(f.say(1, {.groups = {{.id = {Round{0}, 1}}}, .is_last = true}));
  CHECK(ordinals(f.give(1).groups) == Ordinals{0});
}

TEST_CASE("generation queue: the next worker goes on from the parts that were told") {
  Fixture f(2, {.begun_tokens = 2});
  f.want({0, 1}, 0, /*segment_tokens=*/2);
  f.give(0);
  const auto part = [](uint32_t ordinal, uint32_t sample, uint32_t begin) {
    return ResponseSegment{.id = {{Round{0}, ordinal}, sample},
                           .begin = begin,
                           .tokens = {1, 2},
                           .logprobs = {-1, -2}};
  };
  // Those that do not follow, of another sample or of a group of others, are no news.
  const auto further = f.say(0, {.segments = {part(0, 0, 2), part(0, 1, 0), part(1, 0, 0)}});
  REQUIRE(further);
  CHECK(further->empty());
  CHECK(f.say(0, {.segments = {part(0, 0, 0)}}) == std::vector{train(0)});
  f.lose(0);
  const auto again = f.give(1);
  CHECK(ordinals(again.groups) == Ordinals{0});  // As many tokens as a request may bring along.
  CHECK(num_tokens(again.groups.at(0).begun) == 2);
}

TEST_CASE("generation queue: parts are kept only where they were asked for") {
  Fixture f(1);
  f.want({0});
  f.give(0);
  GroupsGenerated told{.segments = {{.id = {{Round{0}, 0}, 0}, .tokens = {1}, .logprobs = {-1}}}};
  CHECK(f.queue.arrived(0, f.requests[0], told, f.now)->empty());
  CHECK(told.segments.empty());
  f.lose(0);
  CHECK(f.give(0).groups.at(0).begun.empty());
}

TEST_CASE("generation queue: cancelled work is named to its worker, and its answers are no news") {
  Fixture f(2, {.share_max = 1});
  f.want({0}, 7, 0, GroupPurpose::kEvaluate);
  f.give(0);
  f.want({0, 1}, 1);
  f.give(1);
  f.queue.cancel_evaluation(f.now);
  auto cancelled = sent<CancelGeneration>(f.outbox);
  REQUIRE(cancelled.size() == 1);
  CHECK(cancelled[0].first.slot == 0);
  CHECK(cancelled[0].first.epoch == 10);
  CHECK(cancelled[0].first.request_id == f.requests[0]);
  CHECK_FALSE(f.say(0, {.is_last = true}));
  CHECK(f.queue.num_waiting() == 1);
  CHECK(f.queue.is_training(1));
  f.queue.cancel(f.now);
  CHECK(sent<CancelGeneration>(f.outbox).at(0).first.request_id == f.requests[1]);
  CHECK_FALSE(f.say(1, {.is_last = true}));
  CHECK(f.queue.num_waiting() == 0);
  CHECK(f.queue.num_generating() == 0);
  CHECK(f.lose(1).groups.empty());
}

TEST_CASE("generation queue: a deadline begins anew with each answer") {
  Fixture f(1, {.generate_max = 100});
  f.want({0, 1});
  CHECK_FALSE(f.queue.overdue(0, 1000));
  f.give(0);
  CHECK_FALSE(f.queue.overdue(0, 100));
  CHECK(f.queue.overdue(0, 101) == "2 groups not generated within 100 s");
  f.now = 90;
  f.say(0, {.groups = {{.id = {Round{0}, 0}}}});
  CHECK_FALSE(f.queue.overdue(0, 190));
  f.queue.stood_still(20, 190);
  CHECK_FALSE(f.queue.overdue(0, 210));
  CHECK(f.queue.overdue(0, 211));
}

TEST_CASE("generation queue: only other numbers than the last heartbeat's are progress") {
  Fixture f(1);
  CHECK_FALSE(f.queue.progressed(0, {}));
  CHECK(f.queue.progressed(0, {.sequences_done = 3}));
  CHECK_FALSE(f.queue.progressed(0, {.sequences_done = 3}));
  f.want({0});
  f.give(0);  // Counting begins anew.
  CHECK(f.queue.progressed(0, {.sequences_done = 3}));
}

}  // namespace
}  // namespace troupe::actors

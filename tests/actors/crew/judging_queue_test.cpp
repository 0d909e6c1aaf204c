#include "actors/crew/judging_queue.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;
using tests::sent;

using Ordinals = std::vector<uint32_t>;

GroupToJudge group(uint32_t ordinal, size_t responses = 1, size_t bytes = 1) {
  return {.id = {Round{0}, ordinal},
          .responses = std::vector<TextToJudge>(responses, {.text = std::string(bytes, 'x')})};
}

JudgedGroup judged(uint32_t ordinal, VerdictKind kind = VerdictKind::kEqual) {
  return {.id = {Round{0}, ordinal},
          .verdicts = {{{{.name = "accuracy", .kind = kind, .reason = "no memory"}}}}};
}

struct Fixture {
  explicit Fixture(size_t verifiers, PoolOptions options = {})
      : queue(std::vector<SlotPlan>(verifiers, {.roles = {.verifier = true}}), std::move(options),
              outbox) {
    for (uint32_t slot = 0; slot < verifiers; ++slot) queue.ready({slot, 10 + slot});
  }
  // The groups that a worker is given.
  Ordinals give(uint32_t slot) {
    queue.give(
        slot, [&](const GroupKey& one) { return suspects.count(one.id.ordinal) > 0; }, now);
    Ordinals found;
    for (const auto& [send, request] : sent<JudgeGroups>(outbox)) {
      CHECK(send.epoch == 10 + slot);
      requests[slot] = send.request_id;
      for (const GroupToJudge& one : request.groups) found.push_back(one.id.ordinal);
    }
    return found;
  }
  bool say(uint32_t slot, std::vector<JudgedGroup> groups) {
    return queue.answered(slot, requests[slot], {.groups = std::move(groups)}, now);
  }

  double now = 0;
  std::set<uint32_t> suspects{};
  std::map<uint32_t, uint64_t> requests{};
  PoolOutbox outbox{1};
  JudgingQueue queue;
};

TEST_CASE("judging queue: what is given back goes before what waits, what was left out behind it") {
  Fixture f(2, {.judge_batch = 2});
  for (uint32_t ordinal = 0; ordinal < 4; ++ordinal) f.queue.want(group(ordinal));
  CHECK(f.give(0) == Ordinals{0, 1});
  CHECK(f.give(0).empty());
  auto lost = f.queue.lost(0, f.now);
  REQUIRE(lost.size() == 2);
  f.queue.put_back(std::move(lost[1]));
  f.queue.put_back(std::move(lost[0]));
  CHECK(f.give(1) == Ordinals{0, 1});
  CHECK(f.say(1, {judged(1)}));
  CHECK(f.give(1) == Ordinals{2, 3});
  CHECK(f.say(1, {judged(2), judged(3)}));
  CHECK(f.give(1) == Ordinals{0});
}

TEST_CASE("judging queue: an answer counts once, and from the worker that was asked") {
  Fixture f(2);
  f.queue.want(group(0));
  f.give(0);
  CHECK_FALSE(f.queue.answered(1, f.requests[0], {.groups = {judged(0)}}, f.now));
  CHECK(f.say(0, {judged(0)}));
  CHECK_FALSE(f.say(0, {judged(0)}));
  CHECK_FALSE(f.queue.answered(1, 0, {.groups = {judged(0)}}, f.now));  // Never asked.
  CHECK(f.queue.take_num_verdicts() == 1);
  CHECK(f.queue.take_num_verdicts() == 0);
}

TEST_CASE("judging queue: whose verifier failed gets the group again only for want of another") {
  Fixture f(2);
  const auto fail_at = [&f](uint32_t slot) {
    f.queue.want(group(5));
    REQUIRE(f.give(slot) == Ordinals{5});
    CHECK(f.say(slot, {judged(5, VerdictKind::kInfraError)}));
    CHECK(said<pool::Note>(f.outbox).at(0).line.find("group 5: accuracy: no memory") !=
          std::string::npos);
    f.queue.want(group(5));
  };
  fail_at(0);
  f.queue.want(group(6));
  CHECK(f.give(0) == Ordinals{6});  // It is passed over.
  CHECK(f.give(1) == Ordinals{5});
  CHECK(f.say(1, {judged(5)}));
  CHECK(f.say(0, {judged(6)}));
  // Once judged it is like any other.
  f.queue.want(group(5));
  CHECK(f.give(0) == Ordinals{5});
  CHECK(f.say(0, {judged(5)}));
  fail_at(0);
  f.queue.lost(1, f.now);
  CHECK(f.give(0) == Ordinals{5});
}

TEST_CASE("judging queue: failures are forgotten once nothing waits that could have failed") {
  Fixture f(2);
  f.queue.want(group(5));
  f.give(0);
  CHECK(f.say(0, {judged(5, VerdictKind::kInfraError)}));
  f.queue.want(group(5));
  f.queue.forget_failures_of_dropped();
  CHECK(f.give(0).empty());
  f.queue.cancel(f.now);
  f.queue.want(group(5));
  CHECK(f.give(0) == Ordinals{5});
  CHECK(f.say(0, {judged(5, VerdictKind::kInfraError)}));
  f.queue.forget_failures_of_dropped();
  f.queue.want(group(5));
  CHECK(f.give(0) == Ordinals{5});
}

TEST_CASE("judging queue: a request has so many bytes or one group") {
  Fixture f(1, {.judge_bytes = 10});
  f.queue.want(group(0, 1, 100));
  f.queue.want(group(1, 2, 3));
  f.queue.want(group(2, 1, 4));
  f.queue.want(group(3));
  CHECK(f.give(0) == Ordinals{0});
  CHECK(f.say(0, {judged(0)}));
  CHECK(f.give(0) == Ordinals{1, 2});
}

TEST_CASE("judging queue: a group that may have ended its worker takes no others with it") {
  Fixture f(1);
  for (uint32_t ordinal = 0; ordinal < 4; ++ordinal) f.queue.want(group(ordinal));
  f.suspects = {1};
  CHECK(f.give(0) == Ordinals{0});
  CHECK(f.say(0, {judged(0)}));
  CHECK(f.give(0) == Ordinals{1});
  CHECK(f.say(0, {judged(1)}));
  CHECK(f.give(0) == Ordinals{2, 3});
}

TEST_CASE(
    "judging queue: programs get time for each response, and no request more than one share") {
  Fixture f(1, {.judge_max = 10, .judge_each_max = 4});
  f.queue.want(group(0, 5));  // Alone it may be longer.
  f.queue.want(group(1));
  f.queue.want(group(2));
  f.queue.want(group(3));
  CHECK(f.give(0) == Ordinals{0});
  CHECK_FALSE(f.queue.overdue(0, 30));
  CHECK(f.queue.overdue(0, 31) == "1 groups not judged within 30 s");
  f.queue.stood_still(5, 31);
  CHECK_FALSE(f.queue.overdue(0, 35));
  CHECK(f.queue.overdue(0, 36));
  CHECK(f.say(0, {judged(0)}));
  CHECK(f.give(0) == Ordinals{1, 2});
  CHECK(f.say(0, {judged(1), judged(2)}));
  CHECK_FALSE(f.queue.overdue(0, 1000));
}

TEST_CASE("judging queue: of an evaluation that is cancelled only what waits is dropped") {
  Fixture f(1, {.judge_batch = 1});
  GroupToJudge evaluated = group(0);
  evaluated.purpose = GroupPurpose::kEvaluate;
  f.queue.want(evaluated);
  f.queue.want(evaluated);
  f.queue.want(group(7));
  CHECK(f.give(0) == Ordinals{0});
  f.queue.cancel_evaluation();
  CHECK(f.say(0, {{.id = evaluated.id, .purpose = evaluated.purpose}}));
  CHECK(f.give(0) == Ordinals{7});
  f.queue.cancel(f.now);
  CHECK_FALSE(f.say(0, {judged(7)}));
  CHECK(f.queue.lost(0, f.now).empty());
}

}  // namespace
}  // namespace troupe::actors

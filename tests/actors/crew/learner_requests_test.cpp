#include "actors/crew/learner_requests.h"

#include <doctest/doctest.h>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;
using tests::sent;

constexpr uint32_t kSlot = 1;

// A verifier, and a learner that is ready.
struct Fixture {
  explicit Fixture(PoolOptions options = {})
      : learner({{.roles = {.verifier = true}}, {.roles = {.learner = true}}}, std::move(options),
                outbox) {
    learner.set_policies_folder("policies");
    ready(7);
  }
  void ready(uint64_t epoch, uint64_t version = 0) {
    learner.ready({kSlot, epoch}, {.version = PolicyVersion{version}});
  }
  // The request's id.
  uint64_t learn(uint64_t version) {
    learner.learn({.version = PolicyVersion{version}}, now);
    return sent<LearnStep>(outbox).at(0).first.request_id;
  }
  bool learned(uint64_t request, uint64_t version) {
    if (!learner.is_awaited(kSlot, request)) return false;
    StepLearned answer;
    answer.metrics.version = PolicyVersion{version};
    learner.answered(answer, now);
    return true;
  }
  void lose(Loss loss) { learner.lost(loss, "why", now); }

  double now = 0;
  PoolOutbox outbox{1};
  LearnerRequests learner;
};

TEST_CASE("learner requests: they are answered in their order, each once, by the learner") {
  Fixture f;
  const uint64_t first = f.learn(1);
  const uint64_t second = f.learn(2);
  CHECK_FALSE(f.learned(second, 2));
  CHECK_FALSE(f.learner.is_awaited(0, first));
  CHECK(f.learned(first, 1));
  CHECK_FALSE(f.learned(first, 1));
  CHECK(f.learner.version() == PolicyVersion{1});
  CHECK(f.learned(second, 2));
  CHECK(f.learner.version() == PolicyVersion{2});
}

TEST_CASE("learner requests: nothing is sent to a learner that is lost or told to go") {
  Fixture f;
  const uint64_t request = f.learn(1);
  f.lose(Loss::kKilled);
  CHECK(said<pool::LearnerLost>(f.outbox).size() == 1);
  CHECK_FALSE(f.learner.is_awaited(kSlot, request));
  CHECK_FALSE(f.learner.version());
  const auto ask = [&f] {
    f.learner.learn({.version = PolicyVersion{1}}, f.now);
    f.learner.publish(PolicyVersion{0}, f.now);
    f.learner.save_point(PolicyVersion{0}, "folder", {}, f.now);
    return said<pool::Send>(f.outbox).size();
  };
  CHECK(ask() == 0);
  // It goes again before it is back: nobody had been told that it was there.
  f.lose(Loss::kKilled);
  CHECK(said<pool::LearnerLost>(f.outbox).empty());
  f.ready(8);
  CHECK(ask() == 3);
  f.learner.shut_down();
  CHECK(ask() == 0);
}

TEST_CASE("learner requests: a version is published once by each learner, to a file of its own") {
  Fixture f;
  f.learner.publish(PolicyVersion{0}, f.now);
  f.learner.publish(PolicyVersion{0}, f.now);
  const auto first = sent<PublishPolicy>(f.outbox);
  REQUIRE(first.size() == 1);
  CHECK(first[0].second.path == "policies/version_0.epoch_7.safetensors");
  CHECK(f.learner.path_of(PolicyVersion{0}) == first[0].second.path);
  // What the lost one was writing is nobody's.
  f.lose(Loss::kKilled);
  f.ready(9);
  f.learner.publish(PolicyVersion{0}, f.now);
  const auto second = sent<PublishPolicy>(f.outbox);
  REQUIRE(second.size() == 1);
  CHECK(second[0].first.epoch == 9);
  CHECK(second[0].second.path == "policies/version_0.epoch_9.safetensors");
  // It is there and gone again: asked for anew.
  REQUIRE(f.learner.is_awaited(kSlot, second[0].first.request_id));
  f.learner.answered(PolicyPublished{.version = PolicyVersion{0}}, f.now);
  f.learner.publish(PolicyVersion{0}, f.now);
  CHECK(sent<PublishPolicy>(f.outbox).size() == 1);
}

TEST_CASE("learner requests: only a step that is new ends a row of losses") {
  Fixture f({.kills_max = 3, .learner_faults_max = 2});
  CHECK(f.learned(f.learn(1), 1));
  f.lose(Loss::kFault);
  f.ready(8);
  CHECK(f.learned(f.learn(2), 2));  // New.
  f.lose(Loss::kKilled);
  f.lose(Loss::kKilled);
  f.lose(Loss::kFault);
  CHECK(said<pool::GiveUp>(f.outbox).empty());
  f.ready(9, 1);
  CHECK(f.learned(f.learn(2), 2));  // Again, from the recovery point on.
  f.learn(3);
  f.lose(Loss::kFault);
  auto given_up = said<pool::GiveUp>(f.outbox);
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].state == JobState::kFailed);
  CHECK(given_up[0].error.message ==
        "the learner was lost 2 times in a row at learning step 3: why");
  f.lose(Loss::kKilled);
  given_up = said<pool::GiveUp>(f.outbox);
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].state == JobState::kPaused);
}

TEST_CASE("learner requests: the deadline is that of the first, from when it became that") {
  Fixture f({.learn_max = 100});
  const uint64_t first = f.learn(1);
  f.now = 60;
  f.learn(2);
  CHECK_FALSE(f.learner.overdue(kSlot, 100));
  CHECK(f.learner.overdue(kSlot, 101) == "learning step 1 not done within 100 s");
  CHECK_FALSE(f.learner.overdue(0, 101));
  f.now = 90;
  CHECK(f.learned(first, 1));
  CHECK_FALSE(f.learner.overdue(kSlot, 190));
  CHECK(f.learner.overdue(kSlot, 191) == "learning step 2 not done within 100 s");
  f.learner.stood_still(50, 191);
  CHECK_FALSE(f.learner.overdue(kSlot, 191));
  // What comes after a rest begins anew.
  f.lose(Loss::kKilled);
  CHECK_FALSE(f.learner.overdue(kSlot, 1000));
  f.ready(8);
  f.now = 1000;
  f.learn(1);
  CHECK_FALSE(f.learner.overdue(kSlot, 1100));
}

}  // namespace
}  // namespace troupe::actors

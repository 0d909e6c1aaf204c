#include "actors/crew/learner_requests.h"

#include <doctest/doctest.h>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;
using tests::sent;

constexpr uint32_t kSlot = 1;

StepLearned step_learned(uint64_t version, double loss = 1, const std::string& digest = "d") {
  StepLearned answer{.core_seconds = 2, .digest = digest};
  answer.metrics.version = PolicyVersion{version};
  answer.metrics.loss = loss;
  return answer;
}

// A verifier, and a learner that is ready.
struct Fixture {
  explicit Fixture(PoolOptions options = {})
      : learner({{.roles = {.verifier = true}}, {.roles = {.learner = true}}}, std::move(options),
                outbox) {
    learner.set_policies_folder("policies");
    ready(7);
  }
  void ready(uint64_t epoch, uint64_t version = 0) {
    learner.ready({{kSlot, epoch}}, {.version = PolicyVersion{version}});
  }
  // The request's id.
  uint64_t learn(uint64_t version) {
    learner.learn({{.version = PolicyVersion{version}}}, now);
    return sent<LearnShare>(outbox).at(0).first.request_id;
  }
  bool learned(uint64_t request, uint64_t version) {
    return !learner.answered(kSlot, request, step_learned(version), now).empty();
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
  CHECK(f.learner.answered(0, first, step_learned(1), f.now).empty());
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
  CHECK_FALSE(f.learned(request, 1));
  CHECK_FALSE(f.learner.version());
  const auto ask = [&f] {
    f.learner.learn({{.version = PolicyVersion{1}}}, f.now);
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
  REQUIRE(f.learner
              .answered(kSlot, second[0].first.request_id,
                        PolicyPublished{.version = PolicyVersion{0}}, f.now)
              .size() == 1);
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
  const auto is_late = [&f](double now) {
    return f.learner.overdue(now) == std::vector<uint32_t>{kSlot};
  };
  const uint64_t first = f.learn(1);
  f.now = 60;
  f.learn(2);
  CHECK_FALSE(is_late(100));
  CHECK(is_late(101));
  CHECK(f.learner.overdue_text() == "learning step 1 not done within 100 s");
  f.now = 90;
  CHECK(f.learned(first, 1));
  CHECK_FALSE(is_late(190));
  CHECK(is_late(191));
  CHECK(f.learner.overdue_text() == "learning step 2 not done within 100 s");
  f.learner.stood_still(50, 191);
  CHECK_FALSE(is_late(191));
  // What comes after a rest begins anew.
  f.lose(Loss::kKilled);
  CHECK_FALSE(is_late(1000));
  f.ready(8);
  f.now = 1000;
  f.learn(1);
  CHECK_FALSE(is_late(1100));
}

// Three ranks, in slots 0, 2 and 3.
struct TeamFixture {
  TeamFixture() {
    learner.set_policies_folder("policies");
    learner.ready({{0, 5}, {2, 6}, {3, 7}}, {});
  }
  // The requests' ids, by rank.
  template <class Message>
  std::vector<uint64_t> ids() {
    std::vector<uint64_t> found;
    for (const auto& [send, message] : sent<Message>(outbox)) found.push_back(send.request_id);
    return found;
  }
  std::vector<uint64_t> learn(uint64_t version) {
    std::vector<LearnShare> shares(3);
    for (uint32_t rank = 0; rank < 3; ++rank) {
      shares[rank].version = PolicyVersion{version};
      shares[rank].own.resize(rank + 1);
    }
    learner.learn(std::move(shares), now);
    return ids<LearnShare>();
  }
  std::vector<FromWorker> say(uint32_t slot, uint64_t id, FromWorker message) {
    return learner.answered(slot, id, std::move(message), now);
  }

  double now = 0;
  PoolOutbox outbox{1};
  const SlotPlan plan{.roles = {.learner = true}};
  LearnerRequests learner{{plan, {.roles = {.rollout = true}}, plan, plan}, {}, outbox};
};

TEST_CASE("learner requests: each rank is sent its own share, and a step is learned by all") {
  TeamFixture f;
  std::vector<LearnShare> shares(3);
  for (uint32_t rank = 0; rank < 3; ++rank) shares[rank].own.resize(rank + 1);
  f.learner.learn(std::move(shares), f.now);
  const auto sent_shares = sent<LearnShare>(f.outbox);
  REQUIRE(sent_shares.size() == 3);
  for (size_t rank = 0; rank < 3; ++rank) {
    CHECK(sent_shares[rank].second.own.size() == rank + 1);
    CHECK(sent_shares[rank].first.slot == std::vector<uint32_t>{0, 2, 3}[rank]);
    CHECK(sent_shares[rank].first.epoch == 5 + rank);
  }
  CHECK(f.say(2, sent_shares[1].first.request_id, step_learned(1)).empty());
  CHECK(f.say(0, sent_shares[0].first.request_id, step_learned(1)).empty());
  CHECK(f.learner.version() == PolicyVersion{0});
  const auto answers = f.say(3, sent_shares[2].first.request_id, step_learned(1));
  REQUIRE(answers.size() == 1);
  CHECK(std::get<StepLearned>(answers[0]).core_seconds == 6);
  CHECK(f.learner.version() == PolicyVersion{1});
}

TEST_CASE("learner requests: a rank that is ahead is heard, and nothing is answered out of order") {
  TeamFixture f;
  const auto first = f.learn(1);
  f.learner.publish(PolicyVersion{0}, f.now);
  const auto published = f.ids<PublishPolicy>();
  REQUIRE(published.size() == 1);
  const auto second = f.learn(2);
  CHECK(f.say(2, second[1], step_learned(2)).empty());  // Before the first: not believed.
  CHECK(f.say(2, first[1], step_learned(1)).empty());
  CHECK(f.say(2, second[1], step_learned(2)).empty());
  CHECK(f.say(3, first[2], step_learned(1)).empty());
  CHECK(f.say(3, second[2], step_learned(2)).empty());
  CHECK(f.say(0, first[0], step_learned(1)).size() == 1);
  CHECK(f.say(0, second[0], step_learned(2)).empty());  // What lies between is not answered.
  CHECK(f.say(0, published[0], PolicyPublished{}).size() == 1);
  CHECK(f.say(0, second[0], step_learned(2)).size() == 1);
  CHECK(f.learner.version() == PolicyVersion{2});
}

TEST_CASE("learner requests: ranks that differ in a bit fail the job, by name") {
  const auto failure = [](const FromWorker& one) {
    TeamFixture f;
    const auto ids = f.learn(1);
    f.say(0, ids[0], step_learned(1));
    f.say(2, ids[1], step_learned(1));
    CHECK(f.say(3, ids[2], one).empty());
    const auto given_up = said<pool::GiveUp>(f.outbox);
    REQUIRE(given_up.size() == 1);
    CHECK(given_up[0].state == JobState::kFailed);
    return given_up[0].error.message;
  };
  CHECK(failure(step_learned(1, 1.5)) ==
        "learning step 1: the learner's ranks have not come to the same: worker 0 and worker 3 "
        "differ in loss, 1 and 1.5; they have not done the same, or what moved between them is "
        "damaged");
  CHECK(failure(step_learned(1, 1, "e")).find("the gradient, of the same norm") !=
        std::string::npos);
  CHECK(failure(step_learned(2)).find("their versions") != std::string::npos);
  StepLearned other = step_learned(1);
  other.metrics.grad_norm = 1e-300;
  CHECK(failure(other).find("the gradient's norm, 0 and 1e-300") != std::string::npos);
  CHECK(failure(PointWritten{}).find("what they answer") != std::string::npos);
}

TEST_CASE("learner requests: a point has the files of all ranks, of the same weights") {
  for (const bool is_same : {true, false}) {
    TeamFixture f;
    f.learner.save_point(PolicyVersion{0}, "folder", {{PolicyVersion{0}, "policy"}}, f.now);
    const auto ids = f.ids<SavePoint>();
    REQUIRE(ids.size() == 3);
    const auto written = [](const std::string& weights, const std::string& file) {
      return PointWritten{.weights_sha256 = weights, .files = {{file, file}}, .core_seconds = 1};
    };
    PointWritten of_first = written("w", "a");
    of_first.policies = {{PolicyVersion{0}, "p"}};
    f.say(3, ids[2], written(is_same ? "w" : "x", "c"));
    f.say(0, ids[0], of_first);
    const auto answers = f.say(2, ids[1], written("w", "b"));
    CHECK(said<pool::GiveUp>(f.outbox).size() == (is_same ? 0 : 1));
    REQUIRE(answers.size() == (is_same ? 1 : 0));
    if (!is_same) continue;
    const auto& all = std::get<PointWritten>(answers[0]);
    CHECK(all.files == std::vector<PointFile>{{"a", "a"}, {"b", "b"}, {"c", "c"}});
    CHECK(all.policies.size() == 1);
    CHECK(all.core_seconds == 3);
  }
}

TEST_CASE("learner requests: who has answered is not late and not at work") {
  TeamFixture f;
  const auto ids = f.learn(1);
  f.say(2, ids[1], step_learned(1));
  CHECK(f.learner.overdue(4000) == std::vector<uint32_t>{0, 3});
  CHECK(f.learner.activity(0));
  CHECK_FALSE(f.learner.activity(2));
}

}  // namespace
}  // namespace troupe::actors

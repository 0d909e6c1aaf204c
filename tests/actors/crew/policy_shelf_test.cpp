#include "actors/crew/policy_shelf.h"

#include <doctest/doctest.h>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;
using tests::sent;

constexpr SlotPlan kRollout{.roles = {.rollout = true}};
constexpr SlotPlan kLearner{.roles = {.learner = true}};
constexpr SlotPlan kBoth{.roles = {.rollout = true, .learner = true}};
constexpr WorkerId kFirst{.slot = 0, .epoch = 5};
constexpr WorkerId kSecond{.slot = 1, .epoch = 6};

PolicyPublished policy(uint64_t version, const std::string& sha = "sha") {
  return {PolicyVersion{version}, "file " + std::to_string(version), sha};
}

std::vector<std::string> removed(PoolOutbox& outbox) {
  std::vector<std::string> paths;
  for (const auto& one : said<pool::RemoveFile>(outbox)) paths.push_back(one.path);
  return paths;
}

struct Fixture {
  explicit Fixture(PoolOptions options = {})
      : shelf({kRollout, kRollout}, std::move(options), outbox) {}
  // Asks a worker to load it; the request's id.
  uint64_t load(WorkerId worker, uint64_t version) {
    shelf.load(worker, PolicyVersion{version}, now);
    return sent<LoadPolicy>(outbox).at(0).first.request_id;
  }
  double now = 0;
  PoolOutbox outbox{1};
  PolicyShelf shelf;
};

TEST_CASE("policy shelf: files are needed where a rollout has no learner") {
  PoolOutbox outbox(1);
  CHECK(PolicyShelf({kLearner, kRollout}, {}, outbox).is_needed());
  CHECK(PolicyShelf({kBoth, kRollout}, {}, outbox).is_needed());
  CHECK_FALSE(PolicyShelf({kBoth, kLearner}, {}, outbox).is_needed());
}

TEST_CASE("policy shelf: a version goes only when nobody will ask for it and nobody reads it") {
  Fixture f;
  for (uint64_t version : {2, 4, 6}) f.shelf.put(policy(version));
  const uint64_t first = f.load(kFirst, 2);
  const uint64_t second = f.load(kSecond, 2);
  f.shelf.retire(PolicyVersion{4});
  CHECK(removed(f.outbox).empty());
  CHECK(f.shelf.loaded(0, first, PolicyVersion{2}));
  CHECK(f.shelf.find(PolicyVersion{2}) != nullptr);
  CHECK(f.shelf.loaded(1, second, PolicyVersion{2}));
  CHECK(removed(f.outbox) == std::vector<std::string>{"file 2"});
  CHECK(f.shelf.find(PolicyVersion{2}) == nullptr);
  CHECK(f.shelf.find(PolicyVersion{4}) != nullptr);  // Itself not before 4.
  // Who was to read it is lost.
  f.load(kFirst, 4);
  f.shelf.retire(PolicyVersion{6});
  f.shelf.lost(0);
  f.shelf.retire(PolicyVersion{3});  // Older than what is known.
  CHECK(removed(f.outbox) == std::vector<std::string>{"file 4"});
}

TEST_CASE("policy shelf: a loading is answered by its own request and by no other") {
  Fixture f;
  f.shelf.put(policy(2));
  const uint64_t request = f.load(kFirst, 2);
  CHECK(f.shelf.is_loading(0));
  CHECK_FALSE(f.shelf.loaded(0, request - 1, PolicyVersion{2}));
  CHECK_FALSE(f.shelf.loaded(1, request, PolicyVersion{2}));
  CHECK_FALSE(f.shelf.has_loaded(0, PolicyVersion{2}));
  f.shelf.lost(0);
  CHECK_FALSE(f.shelf.loaded(0, request, PolicyVersion{2}));
  const uint64_t again = f.load(kFirst, 2);
  CHECK(f.shelf.loaded(0, again, PolicyVersion{2}));
  CHECK(f.shelf.has_loaded(0, PolicyVersion{2}));
  CHECK_FALSE(f.shelf.is_loading(0));
}

TEST_CASE("policy shelf: who has the same weights from before need not read them") {
  Fixture f;
  f.shelf.put(policy(2, "same"));
  const auto loads_after = [&f](const WorkerReady& held) {
    f.shelf.lost(0);
    f.shelf.holds(0, held);
    f.shelf.load(kFirst, PolicyVersion{2}, f.now);
    return sent<LoadPolicy>(f.outbox).size();
  };
  CHECK(loads_after({.version = PolicyVersion{2}, .weights_sha256 = "same"}) == 0);
  CHECK(f.shelf.has_loaded(0, PolicyVersion{2}));
  CHECK(loads_after({.version = PolicyVersion{2}, .weights_sha256 = "other"}) == 1);
  CHECK(loads_after({.version = PolicyVersion{1}, .weights_sha256 = "same"}) == 1);
  CHECK(loads_after({.version = PolicyVersion{2}}) == 1);
  // It has them no more once it has read others.
  f.shelf.put(policy(4));
  CHECK(loads_after({.version = PolicyVersion{2}, .weights_sha256 = "same"}) == 0);
  CHECK(f.shelf.loaded(0, f.load(kFirst, 4), PolicyVersion{4}));
  f.load(kFirst, 2);
}

TEST_CASE("policy shelf: where the newest is taken, it serves all that is learned from") {
  Fixture f({.takes_newest = true});
  constexpr bool kTraining = true, kEvaluation = false;
  CHECK_FALSE(f.shelf.version_for(PolicyVersion{2}, kTraining));
  CHECK(f.shelf.version_for(PolicyVersion{2}, kEvaluation) == PolicyVersion{2});
  f.shelf.put(policy(4));
  f.shelf.put(policy(6));
  CHECK(removed(f.outbox) == std::vector<std::string>{"file 4"});
  CHECK(f.shelf.version_for(PolicyVersion{2}, kTraining) == PolicyVersion{6});
  CHECK_FALSE(f.shelf.version_for(PolicyVersion{7}, kTraining));
  // One loading after another, and none of what is there.
  f.shelf.load_newest(kFirst, f.now);
  const auto loads = sent<LoadPolicy>(f.outbox);
  REQUIRE(loads.size() == 1);
  f.shelf.put(policy(8));
  f.shelf.load_newest(kFirst, f.now);
  CHECK(sent<LoadPolicy>(f.outbox).empty());
  CHECK(f.shelf.loaded(0, loads[0].first.request_id, PolicyVersion{6}));
  f.shelf.load_newest(kFirst, f.now);
  const auto next = sent<LoadPolicy>(f.outbox);
  REQUIRE(next.size() == 1);
  CHECK(next[0].second.version == PolicyVersion{8});
  CHECK(f.shelf.loaded(0, next[0].first.request_id, PolicyVersion{8}));
  f.shelf.load_newest(kFirst, f.now);
  CHECK(sent<LoadPolicy>(f.outbox).empty());
}

TEST_CASE("policy shelf: where each round has its version, none goes on by another") {
  Fixture f;
  f.shelf.put(policy(4));
  f.shelf.put(policy(6));
  CHECK(removed(f.outbox).empty());
  CHECK(f.shelf.version_for(PolicyVersion{4}, true) == PolicyVersion{4});
  f.shelf.load_newest(kFirst, f.now);
  CHECK_FALSE(f.shelf.is_loading(0));
}

TEST_CASE("policy shelf: loading has a deadline, which waits while this process stood still") {
  Fixture f({.start_max = 60});
  f.shelf.put(policy(2));
  f.load(kFirst, 2);
  CHECK_FALSE(f.shelf.overdue(0, 60));
  CHECK(f.shelf.overdue(0, 61) == "no policy loaded within 60 s");
  CHECK_FALSE(f.shelf.overdue(1, 61));
  f.shelf.stood_still(30, 61);
  CHECK_FALSE(f.shelf.overdue(0, 90));
  CHECK(f.shelf.overdue(0, 91));
}

}  // namespace
}  // namespace troupe::actors

#include "actors/crew/team.h"

#include <doctest/doctest.h>

#include "tests/actors/crew/said.h"

namespace troupe::actors {
namespace {

using tests::said;
using tests::sent;

const SlotPlan kRank{.roles = {.learner = true}};
const SlotPlan kRollout{.roles = {.rollout = true}};

// Three ranks, in slots 0, 2 and 3.
struct Fixture {
  explicit Fixture(PoolOptions options = {})
      : team({kRank, kRollout, kRank, kRank}, with_seats(std::move(options)), outbox) {}

  static PoolOptions with_seats(PoolOptions options) {
    options.make_seats = [](uint32_t num_ranks, uint64_t epoch) {
      std::vector<TeamSeat> seats;
      for (uint32_t rank = 0; rank < num_ranks; ++rank) {
        seats.push_back({.rank = rank,
                         .epoch = epoch,
                         .public_keys = std::vector<std::string>(num_ranks, std::to_string(epoch)),
                         .secret_key = std::to_string(epoch) + "/" + std::to_string(rank)});
      }
      return seats;
    };
    return options;
  }

  void seat(uint32_t slot, uint64_t epoch) {
    team.seat(slot);
    team.seated({slot, epoch}, {"at " + std::to_string(slot)});
  }
  void form() {
    for (const uint32_t slot : {0u, 2u, 3u}) seat(slot, slot + 10);
    said<pool::Send>(outbox);
  }

  PoolOutbox outbox{1};
  Team team;
};

TEST_CASE("team: ranks are numbered by their slots and share an epoch") {
  Fixture f({.first_epoch = 7});
  CHECK(f.team.slots() == std::vector<uint32_t>{0, 2, 3});
  CHECK(f.team.seat(3).rank == 2);
  CHECK(f.team.seat(0).rank == 0);
  CHECK(f.team.seat(2).secret_key == "7/1");
  CHECK(f.team.seat(2).num_ranks() == 3);
  CHECK(f.team.seat(1) == TeamSeat{});  // It does not learn.
}

TEST_CASE("team: a learner that is alone needs no seat and no team") {
  PoolOutbox outbox{1};
  Team team({kRollout, kRank}, {}, outbox);
  CHECK(team.seat(1) == TeamSeat{});
  const auto ready = team.ready({1, 5}, {.version = PolicyVersion{3}});
  REQUIRE(ready);
  CHECK(ready->version == PolicyVersion{3});
  CHECK(team.lost(1) == std::vector<uint32_t>{});
}

TEST_CASE("team: they are told where the others are once all have a place") {
  Fixture f;
  f.seat(3, 13);
  f.seat(0, 10);
  f.team.seated({3, 13}, {"elsewhere"});  // Once.
  f.team.seated({1, 11}, {"a stranger"});
  CHECK(said<pool::Send>(f.outbox).empty());
  f.seat(2, 12);
  const auto joins = sent<JoinTeam>(f.outbox);
  REQUIRE(joins.size() == 3);
  for (const auto& [send, join] : joins) {
    CHECK(join.endpoints == std::vector<std::string>{"at 0", "at 2", "at 3"});
    CHECK(send.epoch == send.slot + 10);
  }
}

TEST_CASE("team: it is ready when all are, from the same weights") {
  Fixture f;
  f.form();
  const WorkerReady ready{.version = PolicyVersion{4}, .weights_sha256 = "w"};
  CHECK_FALSE(f.team.ready({2, 12}, ready));
  CHECK_FALSE(f.team.ready({0, 10}, ready));
  const auto all = f.team.ready({3, 13}, ready);
  REQUIRE(all);
  CHECK(all->weights_sha256 == "w");

  Fixture g;
  g.form();
  g.team.ready({2, 12}, ready);
  g.team.ready({0, 10}, {.version = PolicyVersion{4}, .weights_sha256 = "other"});
  CHECK_FALSE(g.team.ready({3, 13}, ready));
  const auto given_up = said<pool::GiveUp>(g.outbox);
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].error.message.find("worker 0 has version 4 with weights other, worker 2") !=
        std::string::npos);
}

TEST_CASE("team: with one rank all are lost, and the next team has other keys") {
  Fixture f({.first_epoch = 7});
  f.form();
  CHECK(f.team.lost(2) == std::vector<uint32_t>{0, 3});
  CHECK_FALSE(f.team.lost(3));  // It went with the others.
  CHECK(f.team.seat(0).epoch == 8);
  CHECK(f.team.seat(2).secret_key == "8/1");
  // Where the old ones were is forgotten.
  f.team.seated({0, 20}, {"new 0"});
  f.team.seated({2, 22}, {"new 2"});
  CHECK(said<pool::Send>(f.outbox).empty());
}

TEST_CASE("team: who has no seat yet takes nobody along") {
  Fixture f;
  f.seat(0, 10);
  f.seat(2, 12);
  // The seat of slot 3 is made, but nobody sits there.
  CHECK_FALSE(f.team.lost(3));
  CHECK_FALSE(f.team.lost(1));
  CHECK(f.team.seat(3).epoch == 1);  // The same team: its process comes a little later.
  CHECK(f.team.lost(0) == std::vector<uint32_t>{2, 3});
}

TEST_CASE("team: a rank that cannot reach another waits for word of who is gone") {
  Fixture f({.disconnected_max = 0.5});
  f.form();
  f.team.failed(3, {ErrorCode::kUnavailable, "rank 1 has ended"}, 10);
  f.team.failed(3, {ErrorCode::kUnavailable, "rank 0 has ended"}, 10.4);
  CHECK_FALSE(f.team.overdue(3, 10.5));
  CHECK(f.team.overdue(3, 10.6) == "it cannot go on with its team: rank 1 has ended");
  CHECK_FALSE(f.team.overdue(0, 10.6));
  CHECK_FALSE(f.team.overdue(1, 10.6));
  f.team.lost(2);
  CHECK_FALSE(f.team.overdue(3, 20));
}

TEST_CASE("team: the one that most wait for is named, and what each is at") {
  Fixture f;
  f.form();
  CHECK(f.team.doing(0).empty());
  CHECK(f.team.most_awaited({2, 3}) == 2);
  f.team.heard(0, {.operation = "all_to_all", .waits_for_rank = 2, .team_bytes = 5});
  f.team.heard(2, {.operation = "all_to_all", .waits_for_rank = 2});
  f.team.heard(3, {.operation = "exchange", .waits_for_rank = 0});
  CHECK(f.team.doing(0) == "all_to_all, waits for worker 3");
  CHECK(f.team.doing(3) == "exchange, waits for worker 0");
  CHECK(f.team.most_awaited({0, 2, 3}) == 3);
  CHECK(f.team.most_awaited({0, 2}) == 0);
  CHECK(f.team.bytes_sent(0) == 5);
  // Nobody vouches for what a rank says of the others.
  f.team.heard(0, {.operation = "barrier", .waits_for_rank = 100});
  CHECK(f.team.doing(0) == "barrier");
}

TEST_CASE("team: without keys there is no team, in words") {
  PoolOutbox outbox{1};
  PoolOptions options;
  options.make_seats = [](uint32_t, uint64_t) -> Result<std::vector<TeamSeat>> {
    return Error{ErrorCode::kInternal, "no keys"};
  };
  Team team({kRank, kRank}, options, outbox);
  CHECK(team.seat(0) == TeamSeat{});
  const auto given_up = said<pool::GiveUp>(outbox);
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].error.message == "no keys");
}

}  // namespace
}  // namespace troupe::actors

// Who works on what, and the tree that lanes are added up by.
#include "model/parallel/team_layout.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace troupe::model {
namespace {

TeamLayout created(int ranks, int64_t lanes) {
  const auto layout = TeamLayout::create(ranks, lanes);
  REQUIRE(layout);
  return *layout;
}

TEST_CASE("team layout: each micro-batch has one rank, whose lanes are side by side") {
  const TeamLayout layout = created(4, 8);
  CHECK(layout.lanes_per_rank() == 2);
  CHECK(layout.first_lane(3) == 6);
  for (const auto& [microbatch, rank] : std::vector<std::pair<int64_t, int>>{
           {0, 0}, {1, 0}, {2, 1}, {3, 1}, {6, 3}, {7, 3}, {8, 0}, {23, 3}, {24, 0}}) {
    CAPTURE(microbatch);
    CHECK(layout.rank_of(microbatch) == rank);
  }
  CHECK(TeamLayout::alone(8).rank_of(1'000'007) == 0);
}

TEST_CASE("team layout: ranks that do not divide the lanes are refused with those that do") {
  for (const int ranks : {0, -1, 3, 8}) {
    const auto refused = TeamLayout::create(ranks, 4);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kInvalidArgument);
    CHECK(refused.error().message == "resources.learner is " + std::to_string(ranks) +
                                         "; with learner.gradient_lanes = 4 it may be 1, 2, 4");
  }
}

TEST_CASE("team layout: where ranks share a lane, each has a run of slots of every wave") {
  const auto layout = TeamLayout::create(4, 2, 16);  // Blocks of eight.
  REQUIRE(layout);
  CHECK(layout->groups() == 2);
  CHECK(layout->members() == 2);
  CHECK(layout->slots_per_rank() == 8);
  CHECK(layout->ranks_of_group(1) == std::vector<int>{1, 3});
  CHECK(layout->ranks_of_member(1) == std::vector<int>{2, 3});
  for (int64_t wave = 0; wave < 3; ++wave) {
    for (int64_t lane = 0; lane < 2; ++lane) {
      for (int64_t slot = 0; slot < 16; ++slot) {
        const int64_t i = layout->microbatch(lane, wave, slot);
        CHECK(layout->lane_of(i) == lane);
        CHECK(layout->slot_of(i) == slot);
        CHECK(layout->rank_of(i) == (slot < 8 ? 0 : 2) + lane);
      }
    }
  }
  CHECK(layout->microbatch(1, 0, 0) == 1);
  CHECK(layout->microbatch(0, 1, 0) == 32);
  CHECK(layout->first_slot(3) == 8);
  CHECK(layout->first_lane(3) == 1);
  // Fewer ranks than lanes work whole lanes.
  const auto few = TeamLayout::create(2, 4, 8);
  REQUIRE(few);
  CHECK(few->members() == 1);
  CHECK(few->lanes_per_rank() == 2);
  CHECK(few->rank_of(few->microbatch(3, 5, 7)) == 1);
}

TEST_CASE("team layout: a lane is shared by who has one slot of it or whole blocks of eight") {
  const auto legal = [](int64_t lanes, int64_t width) {
    std::vector<int> ranks;
    for (int count = 1; count <= 4096; ++count) {
      if (TeamLayout::create(count, lanes, width)) ranks.push_back(count);
    }
    return ranks;
  };
  CHECK(legal(4, 1) == std::vector<int>{1, 2, 4});
  CHECK(legal(4, 2) == std::vector<int>{1, 2, 4, 8});
  CHECK(legal(2, 8) == std::vector<int>{1, 2, 16});
  CHECK(legal(1, 16) == std::vector<int>{1, 2, 16});
  CHECK(legal(1, 64) == std::vector<int>{1, 8, 64});
  CHECK(legal(1, 512) == std::vector<int>{1, 8, 64, 512});
  const auto refused = TeamLayout::create(3, 4, 16);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message ==
        "resources.learner is 3; with learner.gradient_lanes = 4 and learner.lane_width = 16 it "
        "may be 1, 2, 4, 8, 64");
  CHECK(TeamLayout::create(1, 6, 1).error().message ==
        "learner.gradient_lanes is 6; it must be a power of two");
  CHECK(TeamLayout::create(1, 4, 3).error().message ==
        "learner.lane_width is 3; it must be a power of two");
  CHECK_FALSE(TeamLayout::create(1, 4, 0));
}

// The sum as it is formed, in words.
std::string tree(std::vector<std::string> parts) {
  add_as_tree(static_cast<int64_t>(parts.size()), [&](int64_t sum, int64_t more) {
    parts[static_cast<size_t>(sum)] =
        "(" + parts[static_cast<size_t>(sum)] + "+" + parts[static_cast<size_t>(more)] + ")";
  });
  return parts[0];
}

TEST_CASE("add as tree: the sum of the ranks' sums is the sum of all lanes") {
  CHECK(tree({"a"}) == "a");
  CHECK(tree({"a", "b", "c", "d"}) == "((a+b)+(c+d))");
  for (const int64_t lanes : {1, 2, 4, 8, 16}) {
    std::vector<std::string> all;
    for (int64_t lane = 0; lane < lanes; ++lane) all.push_back(std::to_string(lane));
    for (int ranks = 1; ranks <= lanes; ranks *= 2) {
      CAPTURE(lanes);
      CAPTURE(ranks);
      const TeamLayout layout = created(ranks, lanes);
      std::vector<std::string> sums;
      for (int rank = 0; rank < ranks; ++rank) {
        const auto first = all.begin() + layout.first_lane(rank);
        sums.push_back(tree({first, first + layout.lanes_per_rank()}));
      }
      CHECK(tree(sums) == tree(all));
    }
  }
}

}  // namespace
}  // namespace troupe::model

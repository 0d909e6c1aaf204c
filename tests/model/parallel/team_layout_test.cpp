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

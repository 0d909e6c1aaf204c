#include "model/data/draw_order.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace troupe::model {
namespace {

TEST_CASE("draw order: every epoch is a permutation, and a function of seed and draw alone") {
  DrawOrder forward({.seed = 7, .deck = 0, .count = 10, .shuffle = true});
  std::vector<int64_t> drawn;
  for (int64_t draw = 0; draw < 30; ++draw) drawn.push_back(forward.at(draw));
  for (int epoch = 0; epoch < 3; ++epoch) {
    CHECK(std::set(drawn.begin() + epoch * 10, drawn.begin() + epoch * 10 + 10).size() == 10);
  }
  CHECK(!std::equal(drawn.begin(), drawn.begin() + 10, drawn.begin() + 10));

  DrawOrder backward({.seed = 7, .deck = 0, .count = 10, .shuffle = true});
  for (int64_t draw = 29; draw >= 0; --draw) CHECK(backward.at(draw) == drawn[draw]);

  DrawOrder other_seed({.seed = 8, .deck = 0, .count = 10, .shuffle = true});
  DrawOrder other_deck({.seed = 7, .deck = DrawOrder::kColdStartDeck, .count = 10});
  int same_seed = 0, same_deck = 0;
  for (int64_t draw = 0; draw < 30; ++draw) {
    same_seed += other_seed.at(draw) == drawn[draw];
    same_deck += other_deck.at(draw) == drawn[draw];
  }
  CHECK(same_seed < 15);
  CHECK(same_deck < 15);
}

TEST_CASE("draw order: the shuffle is the same on every machine and in every version") {
  DrawOrder order({.seed = 1, .deck = 0, .count = 8, .shuffle = true});
  std::vector<int64_t> drawn;
  for (int64_t draw = 0; draw < 8; ++draw) drawn.push_back(order.at(draw));
  CHECK(drawn == std::vector<int64_t>{3, 1, 7, 4, 0, 6, 2, 5});
}

TEST_CASE("draw order: without shuffle it is file order") {
  DrawOrder order({.seed = 1, .deck = 0, .count = 3, .shuffle = false});
  for (int64_t draw = 0; draw < 9; ++draw) CHECK(order.at(draw) == draw % 3);
  DrawOrder one({.seed = 1, .deck = 0, .count = 1, .shuffle = true});
  CHECK(one.at(1'000'000'000'000) == 0);
}

TEST_CASE("prompt order: replacements never shift later rounds") {
  PromptOrder prompts({.seed = 3, .count = 100, .prompts_per_round = 4, .shuffle = true});
  DrawOrder order({.seed = 3, .deck = DrawOrder::kTrainDeck, .count = 100, .shuffle = true});
  std::set<int64_t> replacements;
  for (int64_t round = 0; round < 60; ++round) {
    for (int64_t ordinal = 0; ordinal < 4; ++ordinal) {
      CHECK(prompts.at(round, ordinal) == order.at(round * 4 + ordinal));
    }
    const int64_t replacement = prompts.at(round, 4);
    CHECK(replacement == prompts.at(round, 4));
    CHECK(replacement < 100);
    replacements.insert(replacement);
  }
  CHECK(replacements.size() > 30);
}

}  // namespace
}  // namespace troupe::model

// The order in which a job draws from its problems and demonstrations.
#pragma once

#include <cstdint>
#include <vector>

namespace troupe::model {

// Which of `count` items is drawn k-th: epoch k / count is a Fisher-Yates permutation of its own, a
// pure function of (seed, deck, epoch). Without shuffle it is file order, again and again.
class DrawOrder {
 public:
  struct Options {
    uint64_t seed = 0;
    uint32_t deck = 0;  // Decks of one seed are shuffled independently.
    int64_t count = 0;  // > 0
    bool shuffle = true;
  };
  static constexpr uint32_t kTrainDeck = 0;
  static constexpr uint32_t kColdStartDeck = 1;  // + index of the cold-start file

  explicit DrawOrder(Options options);

  // Remembers the permutation of the last epoch asked for, so it is not for concurrent use.
  int64_t at(int64_t draw);

 private:
  Options options_;
  int64_t epoch_ = -1;
  std::vector<int64_t> permutation_{};
};

// The training prompt of group (round, ordinal). Ordinals from prompts_per_round on are
// replacements: drawn on their own, so that they never shift later rounds.
class PromptOrder {
 public:
  struct Options {
    uint64_t seed = 0;
    int64_t count = 0;
    int64_t prompts_per_round = 0;
    bool shuffle = true;
  };
  explicit PromptOrder(Options options);

  int64_t at(int64_t round, int64_t ordinal);

 private:
  Options options_;
  DrawOrder order_;
};

}  // namespace troupe::model

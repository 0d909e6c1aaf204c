// Problems and demonstrations from JSON lines, with the columns that the field uses found by name,
// and the order in which a job draws from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/data/prompt_template.h"
#include "schemas/result.h"

namespace troupe::model {

struct Problem {
  Prompt prompt{};
  std::string gold{};  // The reference answer; never empty.
  int64_t line = 0;    // In its file, from 1.
};

struct Demonstration {
  Prompt prompt{};
  std::string response{};
  int64_t line = 0;
};

constexpr size_t kDatasetLineBytesMax = 8 << 20;

// Both read one JSON object per line; blank lines are skipped. All failures are kInvalidArgument
// and name file and line: no such file, a Parquet file (the message has the command that converts
// it), no row, a line that is too long, is not UTF-8 or not a JSON object, a column that is missing
// (the message lists those found), empty or of a wrong type.
//
//   problems         prompt | question | text: text, or a list of {role, content}
//                    gold | reward_model.ground_truth | ground_truth | solution | answer: text or
//                    an integer; an `answer` with "####" (GSM8K) counts from the last "####" on,
//                    without thousands commas; a row with a programming problem's tests (test and
//                    entry_point, test_list, or inputs) is itself the gold, as it is written
//   demonstrations   prompt | question, with response | completion | answer: text, or for
//                    completion a list of one assistant's message
//                    messages: the last one, the assistant's, is the response
Result<std::vector<Problem>> load_problems(const std::string& path);
Result<std::vector<Demonstration>> load_demonstrations(const std::string& path);

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

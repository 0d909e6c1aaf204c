// The quickstart's task: digits joined by operators, evaluated strictly from left to right, with
// worked demonstrations that are deliberately imperfect, so that there is something to learn.
#pragma once

#include <cstdint>
#include <string>

#include "model/data/data_folder.h"
#include "schemas/result.h"

namespace troupe::model {

// Tasks:
//   mod10     operands 1..9, + - *, everything modulo 10
//   natural   operands 1..9, + -, every partial result in 0..99
// A problem is {"prompt": "7*4+3+4=?", "gold": "5"}; its worked demonstration adds
// {"response": "<think>8+3+4=1+4=5</think><answer>5</answer>"}, where each segment is the
// expression with its first operation carried out.
struct ArithmeticOptions {
  uint64_t seed = 1;
  std::string task = "mod10";
  int64_t operands_min = 3;
  int64_t operands_max = 5;
  // How likely one more operand is, as a share of how likely one less is; 1: all are as likely.
  double tail = 1;
  int64_t train = 20'000;
  int64_t cold_start_clean = 40'000;
  int64_t cold_start_noisy = 20'000;
  int64_t held_out = 500;
  double share_guess = 0.5;  // Noisy: share of blind guesses (no thoughts, the right answer).
  double share_wrong = 0.3;  // Noisy: share of the rest with one wrong intermediate, carried on.
};

// Writes train.jsonl, cold_start_clean.jsonl, cold_start_noisy.jsonl and held_out.jsonl into `dir`,
// which is created if it is missing. The bytes are a function of the options alone. The problems of
// held_out are all different and occur in no other file. The other files are drawn with repeats and
// may share problems: there are only 6,561 of 3 operands (mod10), fewer than the default counts ask
// for. Refuses, before it writes anything, options that it cannot satisfy. Each file appears
// whole or not at all.
Status make_arithmetic(const ArithmeticOptions& options, const std::string& dir,
                       ExistingFiles existing = ExistingFiles::kReplace);

}  // namespace troupe::model

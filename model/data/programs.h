// A task for learning to write programs: a specification in words, and a one-line Python function
// that must pass hidden tests. The demonstrations are deliberately careless, so that there is
// something to learn.
#pragma once

#include <cstdint>
#include <string>

#include "model/data/data_folder.h"
#include "schemas/result.h"

namespace troupe::model {

// A problem is
//   {"prompt": "add 3, double, last digit", "fn_name": "f", "inputs": [[4], ...], "outputs": [[4],
//   ...]}
// and its worked demonstration has the response
//   <think>x+3;(x+3)*2;(x+3)*2%10</think><answer>def f(x): return (x+3)*2%10</answer>
// A careless one leaves the brackets out: x+3*2%10, which is another function.
//
// Steps: add K, subtract K (K in 1..9), double, triple, square, halve, last digit, with Python's //
// and %. A composition is the sequence of their kinds; those held out occur in no other file, in
// whatever numbers.
struct ProgramsOptions {
  uint64_t seed = 1;
  int64_t steps_min = 2;  // Uniform over steps_min..steps_max.
  int64_t steps_max = 3;
  int64_t tests = 4;  // Of each problem.
  int64_t train = 10'000;
  int64_t cold_start_clean = 20'000;
  int64_t cold_start_noisy = 10'000;
  int64_t held_out = 200;
  double share_careless = 0.7;  // Noisy: share of demonstrations without brackets.
};

// Writes train.jsonl, cold_start_clean.jsonl, cold_start_noisy.jsonl and held_out.jsonl into `dir`,
// which is created if it is missing. The bytes are a function of the options alone. The tests of a
// problem tell it from its careless form, where the two differ at all. Refuses options that are out
// of range before it writes anything; each file appears whole or not at all.
Status make_programs(const ProgramsOptions& options, const std::string& dir,
                     ExistingFiles existing = ExistingFiles::kReplace);

}  // namespace troupe::model

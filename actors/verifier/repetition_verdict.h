// How much a response repeats itself.
#pragma once

#include <cstdint>
#include <string_view>

#include "schemas/verdict.h"

namespace troupe::actors {

// Later words do not count.
constexpr int64_t kRepetitionWordsMax = 1 << 20;

struct NgramCount {
  int64_t repeated = 0;  // Those that occurred before.
  int64_t all = 0;
};

// Words are separated by white space; where they are written without it (Han, kana, Thai) each
// character is one.
NgramCount count_ngrams(std::string_view text, int64_t ngram);

// 1 while at most `max_share` of the n-grams are repeated, falling to 0 when all are. `max_share`
// is below 1.
VerdictPart verify_repetition(std::string_view response, int64_t ngram, double max_share);

}  // namespace troupe::actors

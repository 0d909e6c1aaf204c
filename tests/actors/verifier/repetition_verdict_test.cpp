#include "actors/verifier/repetition_verdict.h"

#include <doctest/doctest.h>

#include <string>

namespace troupe::actors {
namespace {

TEST_CASE("repetition verdict: an n-gram counts from its second time on") {
  const auto repeated = [](std::string_view text, int64_t n) {
    const NgramCount count = count_ngrams(text, n);
    return std::pair(count.repeated, count.all);
  };
  CHECK(repeated("a b c d", 2) == std::pair<int64_t, int64_t>(0, 3));
  CHECK(repeated("a b a b", 2) == std::pair<int64_t, int64_t>(1, 3));
  CHECK(repeated("a  b\n\ta b ", 2) == std::pair<int64_t, int64_t>(1, 3));
  CHECK(repeated("a a a a a", 1) == std::pair<int64_t, int64_t>(4, 5));
  CHECK(repeated("ab ba", 1) == std::pair<int64_t, int64_t>(0, 2));
  CHECK(repeated("等等等等", 1) == std::pair<int64_t, int64_t>(3, 4));
  CHECK(repeated("a b", 3) == std::pair<int64_t, int64_t>(0, 0));
  CHECK(repeated("", 4) == std::pair<int64_t, int64_t>(0, 0));
  CHECK(repeated("\xff\xfe \xff\xfe", 1) == std::pair<int64_t, int64_t>(1, 2));
}

TEST_CASE(
    "repetition verdict: worth all up to the allowed share and nothing when all is repeated") {
  CHECK(verify_repetition("a b c d e f", 2, 0.2).value == 1);
  CHECK(verify_repetition("", 4, 0).value == 1);
  // 1 of 2 repeated: (1 - 1/2) / (1 - 0.2).
  CHECK(verify_repetition("a a", 1, 0.2).value == doctest::Approx(0.625));
  CHECK(verify_repetition("a a", 1, 0.5).value == 1);
  std::string circles;
  for (int i = 0; i < 10000; ++i) circles += "wait, let me think. ";
  CHECK(verify_repetition(circles, 4, 0.2).value < 0.001);
}

TEST_CASE("repetition verdict: long texts are bounded") {
  std::string text;
  for (int64_t i = 0; i < kRepetitionWordsMax + 10; ++i) text += "a ";
  CHECK(count_ngrams(text, 1).all == kRepetitionWordsMax);
}

}  // namespace
}  // namespace troupe::actors

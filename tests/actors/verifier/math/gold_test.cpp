#include "actors/verifier/math/gold.h"

#include <doctest/doctest.h>

#include <string>

#include "actors/verifier/math/math_verdict.h"

namespace troupe::actors {
namespace {

VerdictKind kind(std::string_view gold, std::string_view candidate) {
  return verify_math_answer(candidate, gold).kind;
}

TEST_CASE("math gold: mathematics that cannot be read is said so, whatever is answered") {
  for (const char* gold : {"1, 2, \\ldots, n", "\\frac{\\partial f}{\\partial x}", "x^2 + \\foo",
                           "\\begin{cases} x & x > 0 \\\\ 0 & x \\le 0 \\end{cases}", "x =", "2 +",
                           "1.644...", "\\sqrt[", "5 = = 6", "\\frac{1}{"}) {
    INFO(std::string(gold));
    CHECK(!is_readable_gold(gold));
    CHECK(kind(gold, "5") == VerdictKind::kGoldUnparseable);
    CHECK(kind(gold, "\\text{no}") == VerdictKind::kGoldUnparseable);
    CHECK(verify_math("So \\boxed{5}.", gold).kind == VerdictKind::kGoldUnparseable);
    CHECK(!read_gold(gold).fault.empty());
  }
  // The same text is the same all the same.
  CHECK(kind("1, 2, \\ldots, n", "1,2,\\dots,n") == VerdictKind::kEqual);
}

TEST_CASE("math gold: words are compared as words") {
  CHECK(is_readable_gold("Monday"));
  CHECK(kind("Monday", "monday") == VerdictKind::kEqual);
  CHECK(kind("Monday", "\\text{Monday}") == VerdictKind::kEqual);
  CHECK(kind("Monday", "Tuesday") == VerdictKind::kDifferent);
  CHECK(kind("isosceles", "5") == VerdictKind::kDifferent);
  CHECK(kind("\\text{isosceles triangle}", "\\text{The triangle is isosceles triangle}") ==
        VerdictKind::kEqual);
  CHECK(is_readable_gold("January 5, 2020"));
  CHECK(kind("January 5, 2020", "January 5, 2020") == VerdictKind::kEqual);
  CHECK(is_readable_gold("2023-01-05"));
  CHECK(kind("2023-01-05", "2023-01-06") == VerdictKind::kUndecided);
}

TEST_CASE("math gold: a list of texts names alternatives, and equal to none is not paid") {
  constexpr const char* kGold = "[\"7\", \"\\\\frac{14}{3}\", \"Monday\"]";
  CHECK(kind(kGold, "8") == VerdictKind::kDifferent);
  CHECK(kind(kGold, "7, \\frac{14}{3}") == VerdictKind::kDifferent);
  CHECK(kind(kGold, "14/4") == VerdictKind::kDifferent);
  CHECK(kind(kGold, "7.0") == VerdictKind::kEqual);
  CHECK(kind(kGold, "x = 4\\frac23") == VerdictKind::kEqual);
  CHECK(kind(kGold, "monday") == VerdictKind::kEqual);
  CHECK(verify_math("\\boxed{7}", kGold).kind == VerdictKind::kEqual);
  CHECK(verify_math("\\boxed{1} and \\boxed{2}", "[\"3\", \"1,2\"]").kind == VerdictKind::kEqual);
  CHECK(verify_math("\\boxed{1} and \\boxed{3}", "[\"3\", \"1,2\"]").kind != VerdictKind::kEqual);
  CHECK(verify_math("nothing", kGold).kind == VerdictKind::kNoAnswer);
}

TEST_CASE("math gold: one undecided alternative leaves all undecided, unless one is equal") {
  constexpr const char* kGold = "[\"5\", \"9^{9^{9^{9}}}\"]";
  CHECK(kind(kGold, "5") == VerdictKind::kEqual);
  CHECK(kind(kGold, "6") == VerdictKind::kUndecided);
}

TEST_CASE("math gold: alternatives that cannot be read are left out, all of them are a fault") {
  CHECK(kind("[\"x =\", \"5\"]", "5") == VerdictKind::kEqual);
  CHECK(kind("[\"x =\", \"5\"]", "6") == VerdictKind::kDifferent);
  CHECK(kind("[\"x =\", \"\"]", "6") == VerdictKind::kGoldUnparseable);
  CHECK(!is_readable_gold("[\"x =\"]"));
  CHECK(kind("[]", "5") == VerdictKind::kGoldUnparseable);
  std::string most = "[\"0\"";
  for (size_t i = 1; i < kAlternativesMax; ++i) most += ", \"" + std::to_string(i) + "\"";
  CHECK(kind(most + "]", "63") == VerdictKind::kEqual);
  CHECK(kind(most + "]", "64") == VerdictKind::kDifferent);
  CHECK(kind(most + ", \"64\"]", "64") == VerdictKind::kGoldUnparseable);
  CHECK(read_gold(most + ", \"64\"]").fault.find("64") != std::string::npos);
}

TEST_CASE("math gold: only the JSON text of a list of texts is one") {
  CHECK(kind("[1, 2]", "1") == VerdictKind::kDifferent);  // An interval.
  CHECK(kind("[\"1\", 2]", "1") == VerdictKind::kGoldUnparseable);
  CHECK(kind("[\"1\"", "1") == VerdictKind::kGoldUnparseable);
  CHECK(kind("[\"1\"] 2", "1") == VerdictKind::kGoldUnparseable);
  CHECK(kind("[\"\\sqrt2\"]", "\\sqrt2") == VerdictKind::kGoldUnparseable);  // No JSON escape.
  CHECK(kind(" [ \"\\\\sqrt2\" ] ", "\\sqrt2") == VerdictKind::kEqual);
  CHECK(kind("[\"\\u0035\"]", "5") == VerdictKind::kEqual);
  CHECK(kind("[\"\\u03c0\"]", "\\pi") == VerdictKind::kEqual);
  CHECK(kind("[\"\\ud83d\\ude00\", \"5\"]", "5") == VerdictKind::kEqual);
  CHECK(kind("[\"\\ud83d\", \"5\"]", "5") == VerdictKind::kGoldUnparseable);
}

}  // namespace
}  // namespace troupe::actors

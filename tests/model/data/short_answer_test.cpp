#include "model/data/short_answer.h"

#include <doctest/doctest.h>

namespace troupe::model {
namespace {

TEST_CASE("short answer: what is worked out and says no answer gives none") {
  for (const char* text :
       {"Left to right: 0-3=7, so the result is 7.", "We add the two.\nThen we have seven of them.",
        "First we take the half of it and then we add what was left over from the first day",
        "The box \\boxed{7 never ends, so there is no answer."}) {
    CAPTURE(text);
    CHECK(is_prose(text));
    CHECK(short_answer(text).text.empty());
  }
}

TEST_CASE("short answer: several numbers behind a mark do not become one") {
  for (const char* text : {"(1,2)", "1, 2", "3,5", "(1,200)", "1,200, 3", "1,2,3", "[1,234]",
                           "1,23,456", "1.5,2", "12,34", "1,2345", "{1,234}", "x=1,y=2", ","}) {
    CAPTURE(text);
    CHECK(short_answer("We add.\n#### " + std::string(text)).text == text);
  }
}

TEST_CASE("short answer: a heading with text under it is no mark of an answer") {
  CHECK(short_answer("#### Solution\nThe numbers are two and three\nSo it is five").text.empty());
  CHECK(short_answer("#### 1\nWe add two and three.").text.empty());
  CHECK(short_answer("Intro\n#### The sum of the two is what we want.").text.empty());
  for (const char* text : {"We add.\n#### Step 1\nTwo and three.\nIt is $\\boxed{5}$.",
                           "We add things.\n#### Final Answer\n$\\boxed{5}$",
                           "The box is \\boxed{5}.\n#### Remark\nThere are other ways."}) {
    CAPTURE(text);
    CHECK(short_answer(text).text == "5");
    CHECK(short_answer(text).how == kInBox);
  }
}

TEST_CASE("short answer: an answer is itself, whatever it looks like") {
  for (const char* text :
       {"7", "x = 3", "\\frac{1}{2}", "$\\boxed{7}$", "Monday", "no solution", "12 different ways",
        "x \\in (-\\infty, 1] \\text{ or } x \\ge 2", "3 hours 20 minutes", "\\text{Yes, it is.}",
        "\\begin{pmatrix}\n1 & 2\\\\\n3 & 4\n\\end{pmatrix}", "1 或 2", "A, B, D",
        "α ∈ ℝ, β ≠ 0, γ ≥ 1, δ ≤ 2, ε → 0, ζ ⊂ η, θ ∪ ι"}) {
    CAPTURE(text);
    const ShortAnswer answer = short_answer(text);
    CHECK(answer.text == text);
    CHECK(answer.how.empty());
  }
  CHECK(short_answer("  7 \n").text == "7");
}

TEST_CASE("short answer: behind the last mark, in the last box of a solution") {
  CHECK(short_answer("so #### 1\n#### 1,234 ").text == "1234");
  CHECK(short_answer("#### $1,234,567.50").text == "$1234567.50");
  CHECK(short_answer("#### 1,234 dollars.").text == "1234 dollars.");
  CHECK(short_answer("#### -12,000").text == "-12000");
  CHECK(short_answer("#### 1234567").text == "1234567");
  CHECK(short_answer("so #### ").text.empty());
  CHECK(short_answer("#### 5").how == kAfterMark);
  const ShortAnswer boxed = short_answer(
      "The sum of them is $\\boxed{1}$ at first, and then it is \\boxed{\\frac{1}{\\{2\\}}} "
      "again.");
  CHECK(boxed.text == "\\frac{1}{\\{2\\}}");
  CHECK(boxed.how == kInBox);
  CHECK(short_answer("Thus we find that it is \\fbox{ 9 } in the end.").text == "9");
  CHECK(unboxed("$\\boxed{ 7}$") == " 7");
  CHECK(unboxed("\\boxed{1}, \\boxed{2}") == "\\boxed{1}, \\boxed{2}");
  CHECK(unboxed("7") == "7");
}

}  // namespace
}  // namespace troupe::model

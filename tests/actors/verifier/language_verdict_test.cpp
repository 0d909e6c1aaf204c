#include "actors/verifier/language_verdict.h"

#include <doctest/doctest.h>

#include <string>

#include "actors/verifier/unicode_script.h"

namespace troupe::actors {
namespace {

bool counts(std::string_view text, std::string_view language, int64_t wanted, int64_t all) {
  const WordCount count = count_words(text, language);
  CAPTURE(text);
  CAPTURE(count.wanted);
  CAPTURE(count.all);
  return count.wanted == wanted && count.all == all;
}

TEST_CASE(
    "language verdict: words are runs of letters, and characters where nobody writes spaces") {
  CHECK(counts("We add two numbers.", "en", 4, 4));
  CHECK(counts("don't résumé naïve", "en", 3, 3));
  CHECK(counts("e\u0301tude", "en", 1, 1));  // A combining accent.
  CHECK(counts("我们计算", "zh", 4, 4));
  CHECK(counts("我们 add 它", "zh", 3, 4));
  CHECK(counts("我们 add 它", "en", 1, 4));
  CHECK(counts("これは数です", "ja", 6, 6));
  CHECK(counts("これは数です", "zh", 1, 6));
  CHECK(counts("우리는 더한다", "ko", 2, 2));
  CHECK(counts("Мы складываем и", "ru", 3, 3));
  CHECK(counts("ሰላም world", "en", 1, 2));
  CHECK(counts("", "en", 0, 0));
}

TEST_CASE("language verdict: numbers, names of variables, formulas and code do not count") {
  CHECK(counts("1 + 2 = 3; x = α", "en", 0, 0));
  CHECK(counts("so $\\text{我们} + x$ then", "en", 2, 2));
  CHECK(counts("so \\(我们\\) then \\[我们\n我们\\] end", "en", 3, 3));
  CHECK(counts("so $$我们$$ then `我们` end", "en", 3, 3));
  CHECK(counts("run\n```python\n我们\n```\ndone", "en", 2, 2));
  CHECK(counts("\\frac{1}{2} of it", "en", 2, 2));
}

TEST_CASE("language verdict: what does not close hides nothing") {
  CHECK(counts("costs $5 and 我们", "en", 2, 4));
  CHECK(counts("costs $5\n我们$", "en", 1, 3));
  CHECK(counts("```\n我们", "en", 0, 2));
  CHECK(counts("\\[ 我们", "en", 0, 2));
  CHECK(counts("$$ 我们", "en", 0, 2));
}

TEST_CASE("language verdict: bytes that are no UTF-8 are of no language") {
  CHECK(counts("good \xff\xfe\x80 text", "en", 2, 3));
  CHECK(counts("\xe6\x88", "zh", 0, 1));               // Cut.
  CHECK(counts("\xc0\xaf \xed\xa0\x80", "en", 0, 2));  // Overlong, a surrogate.
  CHECK(counts("\xf4\x90\x80\x80", "en", 0, 1));       // Beyond Unicode.
  CHECK(counts(std::string_view("a\0bc", 4), "en", 1, 1));
}

TEST_CASE("language verdict: the share of the thoughts, and none without a word") {
  const auto value = [](std::string_view response) {
    const VerdictPart part = verify_language(response, "en");
    CHECK(part.kind == VerdictKind::kScored);
    CHECK(!part.reason.empty());
    return part.value;
  };
  CHECK(value("<think>we add</think><answer>我们</answer>") == 1);
  CHECK(value("<think>we 我 add 们</think><answer>5</answer>") == 0.5f);
  CHECK(value("我 we</think> more words here") == 0.5f);
  CHECK(value("<think>cut in the middle") == 1);
  CHECK(value("no tags at all") == 1);
  CHECK(value("<think></think><answer>words</answer>") == 0);
  CHECK(value("") == 0);
}

TEST_CASE("language verdict: hostile texts are one pass") {
  for (std::string unit : {"$", "`", "\\", "\\[", "$a\n", "```", "\\(x", "\xf0\x9f", "我", "a'"}) {
    std::string text;
    while (text.size() < (1 << 20)) text += unit;
    CAPTURE(unit);
    CHECK(verify_language(text, "en").value <= 1);
  }
}

}  // namespace
}  // namespace troupe::actors

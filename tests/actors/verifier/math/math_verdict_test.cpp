#include "actors/verifier/math/math_verdict.h"

#include <doctest/doctest.h>

#include <string>

#include "actors/verifier/math/fuel.h"

namespace troupe::actors {
namespace {

constexpr VerdictKind kEqual = VerdictKind::kEqual;
constexpr VerdictKind kDifferent = VerdictKind::kDifferent;
constexpr VerdictKind kUndecided = VerdictKind::kUndecided;
constexpr VerdictKind kNoAnswer = VerdictKind::kNoAnswer;

struct Case {
  const char* gold;
  const char* text;  // The candidate, or the whole response.
  VerdictKind kind;
};

void check_verdict(const MathVerdict& verdict, VerdictKind kind) {
  INFO(verdict.reason);
  CHECK(std::string(name(verdict.kind)) == std::string(name(kind)));
  CHECK(!verdict.reason.empty());
}

template <size_t N>
void check_answers(const Case (&cases)[N]) {
  for (const Case& each : cases) {
    INFO("gold ", std::string(each.gold), ", candidate ", std::string(each.text));
    check_verdict(verify_math_answer(each.text, each.gold), each.kind);
  }
}

template <size_t N>
void check_responses(const Case (&cases)[N]) {
  for (const Case& each : cases) {
    INFO("gold ", std::string(each.gold), ", response ", std::string(each.text));
    check_verdict(verify_math(each.text, each.gold), each.kind);
  }
}

TEST_CASE("math verdict: the last closed box is the answer") {
  check_responses({
      {"5", "First \\boxed{4}. Wait, no. So \\boxed{5}.", kEqual},
      {"5", "It is \\boxed{5}. Actually \\boxed{4}.", kDifferent},
      {"5", "\\boxed{4} or \\boxed{5}", kNoAnswer},
      {"5", "$\\boxed{4}$, \\text{or} $\\boxed{5}$", kNoAnswer},
      {"5", "\\boxed{5} and \\boxed{5}", kEqual},
      {"7",
       "\\boxed{0} \\boxed{1} \\boxed{2} \\boxed{3} \\boxed{4} \\boxed{5} \\boxed{6} \\boxed{7} "
       "\\boxed{8} \\boxed{9}",
       kNoAnswer},
      {"840", "\\boxed{840} is what we get; so \\boxed{840}.", kEqual},
      {"1,2", "\\boxed{1}, \\boxed{2}", kEqual},
      {"5", "\\boxed{1,2,3,4,5,6}", kDifferent},
      {"5", "\\boxed{4 \\text{ or } 5}", kDifferent},
      {"5", "\\boxed{\\boxed{5}}", kEqual},
      {"\\frac12", "\\boxed{\\frac{1}{2}}", kEqual},
      {"5", "\\fbox{5}", kEqual},
      {"5", "\\boxed {5}", kEqual},
      {"5", "{stray \\boxed{5}", kEqual},
      {"5", "\\boxed{5", kNoAnswer},
      {"5", "\\boxed 5", kEqual},
      {"5", "\\boxed{} the answer is 5", kNoAnswer},
      {"5", "\\boxed{\\neq 5}", kNoAnswer},
      {"5", "\\boxed{> 5}", kNoAnswer},
      {"5", "\\boxed{x=2+3=5}", kEqual},
      {"5", "\\boxed{5=2+3=6}", kDifferent},
      {"-5",
       "\\boxed{\xE2\x88\x92"
       "5}",
       kEqual},
      {"5", "\\boxed{\xEF\xBC\x95}", kEqual},
  });
}

TEST_CASE("math verdict: only the text after the thinking counts") {
  check_responses({
      {"5", "<think>\\boxed{4}</think> \\boxed{5}", kEqual},
      {"5", "<think>\\boxed{5}</think> I do not know.", kNoAnswer},
      {"5", "<think>a</think>\\boxed{4}<think>b</think>\\boxed{5}", kEqual},
      {"5", "<think>it is \\boxed{5}", kNoAnswer},
      {"5", "<think><answer>4</answer></think><answer>5</answer>", kEqual},
  });
}

TEST_CASE("math verdict: an answer tag must come once, and holds the answer") {
  check_responses({
      {"5", "<answer>5</answer>", kEqual},
      {"5", "<answer>it is 5 or 6</answer>", kDifferent},
      {"5", "<think>8+7=5</think><answer>5</answer>", kEqual},
      {"5", "<think></think><answer>4</answer>", kDifferent},
      {"5", "<answer> \\boxed{5} </answer> \\boxed{4}", kEqual},
      {"5", "\\boxed{5} <answer>4</answer>", kDifferent},
      {"5", "<answer>4</answer><answer>5</answer>", kNoAnswer},
      {"5", "<answer>5</answer><answer>5</answer>", kNoAnswer},
      {"5", "<answer>5", kNoAnswer},
      {"5", "</answer>5<answer>", kNoAnswer},
      {"5", "<answer> </answer>", kNoAnswer},
      {"5", "<answer>\\boxed{}</answer>", kNoAnswer},
      {"5", "<answer>it is 5</answer>", kEqual},
      {"5", "<answer>it is not 5</answer>", kUndecided},
  });
}

TEST_CASE("math verdict: without a box a marked line is the answer, the last number never") {
  check_responses({
      {"5", "So.\nAnswer: 5", kEqual},
      {"5", "Final ANSWER : $5$.\nThat was easy.", kEqual},
      {"5", "**Answer:** 5", kEqual},
      {"73", "Answer: **73**", kEqual},
      {"73", "**Answer: 73**", kEqual},
      {"5", "Answer: 4\nAnswer: 5", kEqual},
      {"72", "48+24=72\n#### 72", kEqual},
      {"5", "#### 5\nAnswer: 4", kDifferent},
      {"5", "Answer:", kNoAnswer},
      {"5", "Problem 5. I cannot solve this.", kNoAnswer},
      {"5", "the answer is 5", kNoAnswer},
      {"5", "", kNoAnswer},
  });
}

TEST_CASE("math verdict: integers and decimals are compared exactly") {
  check_answers({
      {"42", "42", kEqual},
      {"-7", "7", kDifferent},
      {"7", "+7", kEqual},
      {"7", "007", kEqual},
      {"0", "-0", kEqual},
      {"42", "4 2", kUndecided},
      {"1000000007", "1000000008", kDifferent},
      {"0.5", ".5", kEqual},
      {"5", "5.0", kEqual},
      {"5", "5.", kEqual},
      {"5", "\\text{5}", kEqual},
      {"13", "$\\mathbf{13}$", kEqual},
      {"3.14", "\\pi", kDifferent},
      {"3.14", "3.15", kDifferent},
      {"1.2e-30", "2.4e-30", kDifferent},
      {"3000", "3\\times10^3", kEqual},
      {"6.02\\times10^{23}", "6.02e23", kEqual},
      {"3\\times10^3", "3\\times10^4", kDifferent},
      {"5", "1.2.3", kUndecided},
      {"5", "--5", kUndecided},
      {"100000000000000000000000000000000000001", "100000000000000000000000000000000000001",
       kEqual},
      {"100000000000000000000000000000000000001", "100000000000000000000000000000000000002",
       kDifferent},
  });
}

TEST_CASE("math verdict: fractions and mixed numbers are numbers") {
  check_answers({
      {"-\\frac{3}{4}", "\\frac{3}{-4}", kEqual},
      {"\\frac{3}{4}", "\\frac{4}{3}", kDifferent},
      {"\\frac{3}{4}", "0.75", kEqual},
      {"\\frac{3}{4}", "6/8", kEqual},
      {"\\frac34", "\\dfrac{3}{4}", kEqual},
      {"\\frac34", "-3 / -4", kEqual},
      {"\\frac{a}{b}", "\\frac{b}{a}", kDifferent},
      {"\\frac{22}{7}", "\\pi", kDifferent},
      {"7\\frac34", "\\frac{21}{4}", kDifferent},
      {"7\\frac34", "\\frac{31}{4}", kEqual},
      {"1\\frac12", "\\frac12", kDifferent},
      {"1\\frac12", "1 1/2", kEqual},
      {"-1\\frac12", "-1.5", kEqual},
      {"0", "\\frac00", kDifferent},
      {"0", "1/0", kDifferent},
      {"\\frac12", "\\frac{1}{2}?", kUndecided},
      {"\\frac{1}{10^{20}}", "0", kDifferent},
      {"\\frac{1}{2^{99}}", "\\frac{1}{2^{98}}", kDifferent},
  });
}

TEST_CASE("math verdict: six significant digits of a correct rounding count") {
  check_answers({
      {"\\frac13", "0.333333", kEqual},
      {"\\frac13", "0.33333", kDifferent},
      {"\\frac13", "0.333334", kDifferent},
      {"\\frac23", "0.666667", kEqual},
      {"\\frac23", "0.666666", kDifferent},
      {"0.333333", "\\frac13", kEqual},
      {"0.33", "\\frac13", kDifferent},
      {"0.3333333", "0.333333", kDifferent},
      {"5", "4.9999999", kDifferent},
      {"0", "0.0000000", kEqual},
      {"0", "0.0000001", kDifferent},
  });
}

TEST_CASE("math verdict: percentages are their hundredth, and the sign may be left out") {
  check_answers({
      {"50\\%", "\\frac12", kEqual},
      {"50\\%", "50", kEqual},
      {"50\\%", "50\\%", kEqual},
      {"50\\%", "0.5", kEqual},
      {"50\\%", "50\\text{ percent}", kEqual},
      {"50\\%", "5\\%", kDifferent},
      {"20\\%", "2000", kDifferent},
      {"0.5", "50", kDifferent},
      {"0.5", "50\\%", kEqual},
      {"50", "50%", kEqual},
  });
}

TEST_CASE("math verdict: thousands separators and currency signs are typography") {
  check_answers({
      {"1000", "1,000", kEqual},
      {"14{,}916", "14916", kEqual},
      {"10,\\!000", "10000", kEqual},
      {"1,234,567.5", "1234567.5", kEqual},
      {"1000", "1,00", kDifferent},
      {"1000", "1000,000", kDifferent},
      {"1234", "1,2,3,4", kDifferent},
      {"3", "1,2,3,4,5", kDifferent},
      {"18", "\\$18.00", kEqual},
      {"18", "$18", kEqual},
      {"5\\text{ dollars}", "\\$5", kEqual},
      {"\\$18", "\\$81", kDifferent},
  });
}

TEST_CASE("math verdict: a bare number has the gold's unit, another unit is never guessed") {
  check_answers({
      {"15\\text{ cm}^2", "15", kEqual},
      {"15\\text{ cm}^2", "15 \\mathrm{cm}^{2}", kEqual},
      {"15\\text{ cm}^2", "15\\text{ cm}^3", kDifferent},
      {"5\\text{ apples}", "6\\text{ apples}", kDifferent},
      {"3\\text{ hours}", "180\\text{ minutes}", kEqual},
      {"3", "3\\text{ minutes}", kEqual},
      {"45^\\circ", "45\xC2\xB0", kEqual},
      {"45^\\circ", "54^\\circ", kDifferent},
      {"4", "4x", kDifferent},
      {"3\\mathrm{e}", "3", kDifferent},
      {"3", "3i", kDifferent},
      {"4", "4\\sqrt2", kDifferent},
      {"5", "5\\text{ or maybe }6", kUndecided},
  });
}

TEST_CASE("math verdict: a named variable is not part of the value") {
  check_answers({
      {"3", "x=3", kEqual},
      {"x=3", "3", kEqual},
      {"x=3", "x = 3.0", kEqual},
      {"x=3", "y=3", kDifferent},
      {"12", "AB = 12", kEqual},
      {"12", "x_{1} = 12", kEqual},
      {"12", "\\alpha=12", kEqual},
      {"11", "x=5+6=11", kEqual},
      {"5", "4=5", kDifferent},
      {"5", "x=4=5", kEqual},
      {"4", "x=4=5", kDifferent},
      {"6", "x=5=y=6", kDifferent},
      {"\\frac13", "x=\\frac13\\approx1.3", kEqual},
      {"1.3", "x=\\frac13\\approx1.3", kDifferent},
      {"1", "x+z=1", kDifferent},
      {"1", "xy=1", kEqual},  // As an answer to "Find xy".
      {"1", "-x=1", kDifferent},
      {"(p,q)=(3,2)", "(3,2)", kEqual},
      {"5", "x<=5", kDifferent},
      {"5", "x\\ne5", kDifferent},
  });
}

TEST_CASE("math verdict: what is no number is equal as text or undecided") {
  check_answers({
      {"\\text{even}", "\\text{odd}", kDifferent},
      {"\\text{Even}", "even.", kEqual},
      {"\\text{no}", "\\text{not no}", kDifferent},
      {"\\text{(C)}", "C", kEqual},
      {"C", "D", kDifferent},
      {"x", "X", kDifferent},
      {"[0,1)", "[0,1)", kEqual},
      {"[0,1)", "\\left[0, 1\\right)", kEqual},
      {"[0,1)", "[0,1]", kDifferent},
      {"(1,2)", "(2,1)", kDifferent},
      {"x\\ge5", "x\\geq 5", kEqual},
      {"x\\neq3", "x\\ne 3", kEqual},
      {"204_5", "204_{5}", kEqual},
      {"204_5", "204_6", kDifferent},
      {"\\infty", "\\infty", kEqual},
      {"\\infty", "10^{100}", kDifferent},
      {"2^{1000}", "2^{1000}", kEqual},
      {"5", "\\text{the answer}", kDifferent},
      {"5", "9^{9^{9^{9}}}", kUndecided},
      {"\\frac{5^{\\left(5^{\\left(5^5\\right)}-4\\right)}-5}{16}",
       "\\dfrac{5^{\\left(5^{\\left(5^5\\right)} - 4\\right)} - 5}{16}", kEqual},
      {"5", "\\int_0^1 \\frac{\\sin(x^x)}{x^{x^x}} dx", kUndecided},
      {"5", "\x01\x02\x7F", kNoAnswer},
      {"5", "\xFF\xFE", kUndecided},
  });
}

TEST_CASE("math verdict: an unreadable gold answer is the prompt's fault") {
  for (std::string_view gold : {"", "  ", "$$", "\\text{}", "\\boxed{}"}) {
    CHECK(verify_math("\\boxed{5}", gold).kind == VerdictKind::kGoldUnparseable);
    CHECK(verify_math("", gold).kind == VerdictKind::kGoldUnparseable);
    CHECK(verify_math_answer("5", gold).kind == VerdictKind::kGoldUnparseable);
  }
  CHECK(verify_math_answer("5", std::string(5000, '5')).kind == VerdictKind::kGoldUnparseable);
  CHECK(verify_math("\\boxed{5}", "We add and get \\boxed{5}.").kind == kEqual);
}

TEST_CASE("math verdict: numbers have a cap on digits and text one on bytes") {
  const std::string nines(1000, '9');
  CHECK(verify_math_answer(nines, nines + ".0").kind == kEqual);
  CHECK(verify_math_answer("+" + nines, nines).kind == kEqual);
  CHECK(verify_math_answer("1" + nines, "1" + nines).kind == kEqual);  // As text.
  CHECK(verify_math_answer("1" + nines, nines).kind == kDifferent);
  CHECK(verify_math_answer(std::string(5000, '9'), "9").kind == kUndecided);
  CHECK(verify_math_answer("1e1000", "1" + std::string(999, '0')).kind == kDifferent);
  CHECK(verify_math_answer("1e1001", "1").kind == kDifferent);
}

TEST_CASE("math verdict: an answer of 4096 bytes is read, one more is not") {
  const std::string longest(kAnswerBytesMax, '7');
  CHECK(verify_math_answer(longest, longest).kind == kEqual);
  CHECK(verify_math_answer("+" + longest.substr(1), longest.substr(1)).kind == kEqual);
  CHECK(verify_math_answer(longest + "7", "7").kind == kUndecided);
  CHECK(is_readable_gold(longest));
  CHECK(!is_readable_gold(longest + "7"));
  CHECK(is_readable_gold("\\text{no solution}"));
  CHECK(!is_readable_gold("\\frac{1}{"));
  CHECK(!is_readable_gold(","));
  CHECK(verify_math("\\boxed{x = 5}", "5").extracted == "x = 5");
  CHECK(verify_math("nothing", "5").extracted.empty());
}

TEST_CASE("math verdict: a gold in several boxes is a list") {
  CHECK(verify_math("\\boxed{2, 1}", "\\(\\boxed{1}\\) and \\(\\boxed{2}\\).").kind == kEqual);
  CHECK(verify_math("\\boxed{2}", "\\boxed{1} and \\boxed{2}").kind == kDifferent);
  CHECK(verify_math("\\boxed{2}", "first \\boxed{1}, later \\boxed{2}").kind == kEqual);
}

TEST_CASE("math verdict: boxes with words between them are one answer only to a list") {
  check_responses({
      {"(3,3),(1,1)", "$\\boxed{(3,3)} \\text{ for part (a) and } \\boxed{(1,1)}$", kEqual},
      {"1,2", "part (a) \\boxed{1} and part (b) \\boxed{2}", kEqual},
      {"1,2", "\\boxed{3} and later \\boxed{1,2}", kEqual},
      {"1,2", "First \\boxed{1}. And then \\boxed{2}", kDifferent},
      {"1,2", "\\boxed{1} and not \\boxed{2}", kDifferent},
      {"5", "\\boxed{4} for x and so \\boxed{5}", kEqual},
      {"x=2,y=1", "$x=\\boxed{2}$ and $y=\\boxed{1}$", kEqual},
      {"x=2,y=1", "$y=\\boxed{1}$ and $x=\\boxed{2}$", kEqual},
      {"x=2,y=1", "$x=\\boxed{1}$ and $y=\\boxed{2}$", kDifferent},
      {"x=2,y=1", "$f(2)=\\boxed{2}$ and $f(1)=\\boxed{1}$", kDifferent},
      {"x=1,y=2", "$y$ is \\boxed{1} and $x$ is \\boxed{2}", kDifferent},
      {"x=1,y=2", "\\boxed{y=1} and so \\boxed{x=2}", kDifferent},
      {"x=1,y=2", "\\boxed{y=2} and so \\boxed{x=1}", kEqual},
      {"x=3", "thus $y = \\boxed{3}$", kEqual},
  });
}

TEST_CASE("math verdict: words between the gold's boxes say what each is, so their order counts") {
  constexpr const char* kGold = "\\boxed{1} papers and \\boxed{2} bins";
  check_responses({
      {kGold, "\\boxed{1} papers and \\boxed{2} bins", kEqual},
      {kGold, "\\boxed{1,2}", kEqual},
      {kGold, "\\boxed{2,1}", kDifferent},
      {kGold, "\\boxed{2}", kDifferent},
      {kGold, "\\boxed{1} bins and \\boxed{2} papers", kDifferent},
      {kGold, "\\boxed{2} papers and \\boxed{1} bins", kDifferent},
      {"\\boxed{1} no no no \\boxed{2}", "\\boxed{1,2}", kDifferent},
      {"$\\boxed{3} +++ \\boxed{4}$", "\\boxed{3,4}", kEqual},
  });
}

TEST_CASE("math verdict: a box whose backslash was escaped is a box") {
  check_responses({
      {"5", "so \\\\boxed{5}", kEqual},
      {"5", "so \\boxed{5} and \\\\boxed{4}", kNoAnswer},
      {"5", "x &= 4 \\\\\\boxed{5}", kEqual},
      {"5", "\\\\boxed{5", kNoAnswer},
  });
}

TEST_CASE("math verdict: hostile responses are answered in milliseconds") {
  const auto repeated = [](std::string_view text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  const std::string responses[] = {
      "\\boxed{" + std::string(1'000'000, '7') + "}",
      std::string(100'000, '{') + "\\boxed{5}" + std::string(100'000, '}'),
      repeated("\\boxed{", 100'000),
      repeated("\\boxed{", 100'000) + "5" + repeated("}", 100'000),
      repeated("\\boxed{1} ", 100'000),
      repeated("\\boxed{1}" + std::string(60, 'a') + " and ", 10'000) + "\\boxed{1}",
      repeated("<answer>", 100'000),
      repeated("</think><think>", 100'000),
      repeated("Answer", 100'000),
      repeated("answer:", 100'000),
      repeated("#", 1'000'000),
      repeated("\\", 1'000'000),
      "<answer>" + repeated("\\text{", 600) + "5</answer>",
      "<answer>" + repeated("=", 4000) + "</answer>",
      "<answer>x=" + repeated("1=", 1900) + "5</answer>",
      "<answer>x=" + repeated(std::string(900, '9') + "=", 4) + std::string(400, '9') + "</answer>",
      "<answer>" + repeated("1,", 2000) + "</answer>",
      "<answer>" + repeated("\\frac", 800) + "</answer>",
  };
  for (const std::string& response : responses) {
    INFO(response.substr(0, 30), "... of ", response.size(), " bytes");
    CHECK(verify_math(response, "7,8").kind != kEqual);
    const MathVerdict part = verify_math(response, "7");
    CHECK(part.kind != kEqual);
    CHECK(part.reason.size() < 300);
    CHECK(part.fuel_spent <= Fuel::kVerdictUnits);
  }
}

}  // namespace
}  // namespace troupe::actors

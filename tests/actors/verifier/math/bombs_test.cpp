// Inputs that are made to be expensive: what they may cost is counted in fuel, not in time.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "actors/verifier/math/compare.h"
#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/math_verdict.h"
#include "actors/verifier/math/parser.h"

namespace troupe::actors {
namespace {

std::string repeated(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

// "a0,a1,..." or the like.
template <class Part>
std::string joined(int count, std::string_view between, Part part) {
  std::string all;
  for (int i = 0; i < count; ++i) all += (i ? std::string(between) : "") + part(i);
  return all;
}

std::string nested(std::string_view open, int count, std::string_view inside,
                   std::string_view close) {
  return repeated(open, count) + std::string(inside) + repeated(close, count);
}

struct Bomb {
  std::string gold{};
  std::string candidate{};
};

std::vector<Bomb> bombs() {
  const auto n = [](int i) { return std::to_string(i); };
  const auto sines = [&](int i) { return "\\sin(x_{" + n(i) + "})"; };
  const auto sines_back = [&](int i) { return "\\sin(x_{" + n(149 - i) + "})"; };
  const auto roots = [&](int i) { return "\\sqrt{" + n(i) + "}"; };
  const auto roots_back = [&](int i) { return "\\sqrt{" + n(299 - i) + "}"; };
  const auto factorials = [&](int i) { return "x_{" + n(i % 5) + "}!"; };
  std::string matrix = "\\begin{pmatrix}";
  for (int row = 0; row < 8; ++row) matrix += "7&1&2&3&4&5&6&9\\\\";
  matrix += "\\end{pmatrix}";
  return {
      {"((x!)!)!", "((x!)!)!+0y"},
      {"5", "((10!)!)!"},
      {"5", "100000000!"},
      {"5", "(10^9)!"},
      {"5", "\\binom{10^9}{5\\cdot10^8}"},
      {"5", "9^{9^{9^{9}}}"},
      {"5", "9^9^9"},
      {"5", "1e999999999"},
      {"5", "2^{(2^{40})}"},
      {"5", "(1/3)^{10^9}"},
      {"5", "\\exp(\\exp(\\exp(100)))"},
      {"5", "\\tan(9^{9^{9^{9}}})"},
      {"5", "1/0"},
      {"5", "\\log(0)"},
      {"x", "(x+y+z+a)^{2000}"},
      {"x", "(2^{1/3}+3^{1/5}+x)^{400}"},
      {"\\sin x" + repeated("+\\sin x", 300), "\\sin y" + repeated("+\\cos x", 300)},
      {joined(150, "+", sines), joined(150, "+", sines_back) + "+x_1-x_1"},
      {joined(200, "+", factorials), "x_1!" + joined(200, "+", factorials)},
      {"\\binom{x}{y}" + repeated("+\\binom{x}{y}", 100), "101\\binom{x}{y}"},
      {"(x+y+z+w+1)^{16}", "(1+x+y+z+w)^8(1+w+x+y+z)^8+1"},
      {"(x+y+z)^{32}(x-y-z)^{32}", "(x-y-z)^{32}(x+y+z)^{32}+1"},
      {"\\frac{9^{9000}+1}{7^{9000}+1}+\\frac{5^{9000}+1}{11^{9000}+1}", "1"},
      {joined(1000, ",", n), "7," + joined(999, ",", n)},
      {joined(300, ",", roots), joined(300, ",", roots_back)},
      {"\\{" + joined(300, ",", roots) + "\\}", joined(300, ",", roots_back)},
      {"5", joined(300, "*", [](int) { return "5900!/5899!"; })},
      {"5", joined(140, "+", [](int) { return "(2^{60000}+1)/(3^{3000}+1)"; })},
      {nested("\\sin(", 60, "x", ")"), nested("\\sin(", 60, "x", ")") + "+0x+1"},
      {nested("\\sqrt[3]{", 80, "x", "}"), nested("\\sqrt[3]{", 80, "x", "}") + "+1"},
      {"x=1", "x" + repeated("=1", 1900)},
      {"900", "x=" + joined(900, "+", [](int) { return "1"; }) + repeated("=1+899", 200)},
      {"5", "x" + repeated("^x", 200)},
      {"\\sin(2^{4000}x)", "\\sin(2^{4000}x)+1"},
      {std::string(4000, '9') + "\\cdot x", std::string(4000, '9') + "\\cdot x+1"},
      {"5", nested("(", 250, "1", ")")},
      {"5", nested("(", 2000, "1", ")")},
      {"5", nested("\\frac{", 500, "1", "}")},
      {"5", repeated("\\frac", 800)},
      {"5", repeated("|", 4000)},
      {"5", repeated("1:", 2000) + "1"},
      {"5", repeated("-", 4000) + "1"},
      {"5", repeated("2^{-", 80) + "1" + repeated("}", 80)},
      {"5", repeated("\\{", 2000)},
      {"5", repeated("\\begin{pmatrix}", 250)},
      {"5", repeated("\\text{", 680)},
      {"5", repeated("1\\pm", 800) + "1"},
      {matrix, matrix + repeated("\\cdot2", 500)},
      {matrix, matrix + repeated("2", 3000)},
      {matrix, joined(20, "+", [&](int) { return matrix; })},
      {matrix, joined(20, "", [&](int) { return matrix; })},
      {matrix, repeated("-(", 200) + matrix + repeated(")", 200)},
      {"5", repeated("\\sum_{k=1}^{10^9}", 200) + "k"},
      {"5", nested("{1\\over ", 200, "2", "}")},
      {"x=1,y=2;x=3,y=4", joined(500, ";", [](int) { return "x=1,y=2"; })},
      {"5", repeated("\\sum_{k=1}^{2000}", 3) + "k"},
      {"5", "\\sum_{k=1}^{2000}(" + joined(600, "+", [](int) { return "k"; }) + ")"},
      {"5", "\\prod_{k=1}^{2000}k^{2000}"},
      {"5", "\\sum_{k=1}^{2000}\\frac{1}{k^{900}}"},
      {"5", "\\int_0^{9^{900}}(x+1)^{64}dx"},
      {"5", "\\int_0^1(" + joined(60, ")(", [](int) { return "x+1"; }) + ")dx"},
      {"5", nested("\\int_0^1 ", 100, "x", " dx")},
      {"5", "\\gcd(" + joined(400, ",", [](int) { return "2^{60000}"; }) + ")"},
      {"5", "\\operatorname{lcm}(" + joined(900, ",", n) + ")"},
      {"5", nested("\\max(1,", 240, "2", ")")},
      {"x \\equiv 5 \\pmod{9}", joined(700, ",", n) + "\\pmod{2^{60000}}"},
      {"5", "9" + std::string(3000, '9') + " \\bmod 7^{9000}"},
      {"52_8", repeated("7", 3000) + "_8"},
      {"5", repeated("7", 3000) + "_8"},
      {"5", "0." + repeated("12", 2000) + "..."},
      {"5", repeated("a+", 1000) + "b=5"},
      {"5", joined(650, "+", [&](int i) { return "a_" + n(i); }) + "=5"},
      {"5", "\\begin{aligned}" + repeated("x&=1\\\\", 500) + "\\end{aligned}"},
      {"5", repeated("\\begin{aligned}", 250)},
      {"5", repeated("\\hspace{", 450)},
      {"5", "5" + repeated(" km", 1300)},
      {"5 km/h", "5" + repeated(" m/s", 900)},
      {"5", "5" + repeated("(since ", 500)},
      {"5", repeated("the ", 900) + "is 5"},
      {"A, B", joined(1300, ",", [](int) { return "A"; })},
      {"5", repeated("10C5", 900)},
      {"5", repeated("_{10}", 600) + "C_5"},
      {"5", repeated("\\choose ", 400)},
      {"1" + std::string(1000, '2') + "," + std::string(1000, '3'), "5"},
  };
}

TEST_CASE("math bombs: none is equal, and each stays within its fuel") {
  for (const Bomb& bomb : bombs()) {
    REQUIRE(bomb.candidate.size() <= kAnswerBytesMax);
    INFO(bomb.gold.substr(0, 40), " and ", bomb.candidate.substr(0, 40));
    const MathVerdict verdict = verify_math_answer(bomb.candidate, bomb.gold);
    CHECK(verdict.fuel_spent <= Fuel::kVerdictUnits);
    CHECK(verdict.reason.size() < 200);
  }
}

TEST_CASE("math bombs: a million characters cost no fuel at all") {
  for (const std::string& inside :
       {nested("(", 500'000, "1", ")"), std::string(1'000'000, '9'), repeated("{", 1'000'000)}) {
    const MathVerdict boxed = verify_math("\\boxed{" + inside + "}", "5");
    CHECK(boxed.kind != VerdictKind::kEqual);
    CHECK(boxed.fuel_spent == 0);
    CHECK(boxed.extracted.size() <= kAnswerBytesMax);
    CHECK(verify_math_answer("5", inside).kind == VerdictKind::kGoldUnparseable);
  }
}

TEST_CASE("math bombs: with less fuel there is no verdict, never another one") {
  const std::string gold = "\\sin 3x";
  const std::string candidate = "3\\sin x-4\\sin^3 x";
  const ParsedAnswer wanted = parse_answer(gold);
  const ParsedAnswer said = parse_answer(candidate);
  uint64_t num_unknown = 0;
  for (uint64_t units = 0; units < 30'000; units += 97) {
    Comparison comparison{.gold_text = gold, .fuel = Fuel(units)};
    const Outcome outcome = compare_terms(wanted.term(), said.term(), comparison);
    CHECK(outcome != Outcome::kOther);
    num_unknown += outcome == Outcome::kUnknown;
  }
  CHECK(num_unknown > 10);
  Comparison enough{.gold_text = gold};
  CHECK(compare_terms(wanted.term(), said.term(), enough) == Outcome::kSame);
}

TEST_CASE("math bombs: the tree and what is left open have caps") {
  CHECK(parse_answer(nested("(", ParsedAnswer::kDepthMax - 1, "1", ")")).is_math);
  CHECK(!parse_answer(nested("(", ParsedAnswer::kDepthMax + 1, "1", ")")).is_math);
  const ParsedAnswer largest = parse_answer("1" + repeated("+1", 2047));
  CHECK(largest.is_math);
  CHECK(largest.tree.nodes.size() <= ParsedAnswer::kNodesMax);
}

TEST_CASE("math bombs: exact values end at their cap") {
  const auto kind = [](const char* candidate, const char* gold) {
    return verify_math_answer(candidate, gold).kind;
  };
  CHECK(kind("2^{60000}+1", "2^{60000}") == VerdictKind::kDifferent);
  CHECK(kind("2^{60000}\\cdot2", "2^{60001}") == VerdictKind::kEqual);
  // Above, their first bits cannot tell them apart, and nobody claims to know.
  CHECK(kind("2^{70000}+1", "2^{70000}") == VerdictKind::kUndecided);
  CHECK(kind("3\\cdot2^{70000}", "2^{70000}") == VerdictKind::kDifferent);
  CHECK(kind("5900!", "5900!+1") == VerdictKind::kDifferent);
  CHECK(kind("5901!", "5901!+1") == VerdictKind::kUndecided);
  CHECK(kind("\\binom{10^9}{2}", "\\frac{10^9(10^9-1)}{2}") == VerdictKind::kEqual);
  CHECK(kind("(x+1)^{64}", "(1+x)^{64}") == VerdictKind::kEqual);
  CHECK(kind("(x+1)^{65}", "(1+x)^{65}") == VerdictKind::kEqual);  // By balls.
  CHECK(kind("(x+1)^{65}", "(x+1)^{66}") == VerdictKind::kDifferent);
}

}  // namespace
}  // namespace troupe::actors

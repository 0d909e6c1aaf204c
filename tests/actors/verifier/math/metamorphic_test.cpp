// Expressions rewritten by identities must stay equal, and changed ones must differ: as many
// labelled pairs as there is patience for.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "actors/verifier/math/math_verdict.h"

namespace troupe::actors {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int below(int bound) { return static_cast<int>(engine_() % static_cast<uint64_t>(bound)); }
  int between(int low, int high) { return low + below(high - low + 1); }

 private:
  std::mt19937_64 engine_;
};

// --- expressions ---------------------------------------------------------------------------------

struct Expression;
using Pointer = std::shared_ptr<const Expression>;

struct Expression {
  enum Kind { kNumber, kVariable, kSum, kProduct, kQuotient, kSquare, kSine, kCosine, kRoot };
  Kind kind = kNumber;
  int value = 0;  // A number, or a variable's index.
  Pointer a{};
  Pointer b{};
};

Pointer make(Expression::Kind kind, Pointer a, Pointer b = {}) {
  return std::make_shared<Expression>(Expression{kind, 0, std::move(a), std::move(b)});
}
Pointer number(int value) {
  return std::make_shared<Expression>(Expression{Expression::kNumber, value, {}, {}});
}

std::string written(const Pointer& e) {
  constexpr std::array<const char*, 3> kNames = {"x", "y", "\\theta"};
  switch (e->kind) {
    case Expression::kNumber:
      return e->value < 0 ? fmt::format("({})", e->value) : std::to_string(e->value);
    case Expression::kVariable:
      return kNames[static_cast<size_t>(e->value)];
    case Expression::kSum:
      return "(" + written(e->a) + "+" + written(e->b) + ")";
    case Expression::kProduct:
      return "(" + written(e->a) + "\\cdot " + written(e->b) + ")";
    case Expression::kQuotient:
      return "\\frac{" + written(e->a) + "}{" + written(e->b) + "}";
    case Expression::kSquare:
      return "(" + written(e->a) + ")^2";
    case Expression::kSine:
      return "\\sin(" + written(e->a) + ")";
    case Expression::kCosine:
      return "\\cos(" + written(e->a) + ")";
    case Expression::kRoot:
      return "\\sqrt{" + written(e->a) + "}";
  }
  return "";
}

// Defined everywhere: denominators and radicands are squares plus something positive.
Pointer random_expression(Random& random, int depth) {
  if (depth == 0 || random.below(6) == 0) {
    if (random.below(2) == 0) return number(random.between(-9, 9));
    return std::make_shared<Expression>(Expression{Expression::kVariable, random.below(3), {}, {}});
  }
  const auto part = [&] { return random_expression(random, depth - 1); };
  const auto positive = [&] {
    return make(Expression::kSum, make(Expression::kSquare, part()), number(random.between(1, 9)));
  };
  switch (random.below(9)) {
    case 0:
    case 1:
    case 2:
      return make(Expression::kSum, part(), part());
    case 3:
    case 4:
      return make(Expression::kProduct, part(), part());
    case 5:
      return make(Expression::kSquare, part());
    case 6:
      return make(Expression::kQuotient, part(), positive());
    case 7:
      return make(random.below(2) ? Expression::kSine : Expression::kCosine, part());
    default:
      return make(Expression::kRoot, positive());
  }
}

// The same value, written otherwise somewhere.
Pointer rewritten(const Pointer& e, Random& random) {
  const auto inside = [&](const Pointer& part) { return part ? rewritten(part, random) : part; };
  const auto copy = [&] {
    return std::make_shared<Expression>(Expression{e->kind, e->value, inside(e->a), inside(e->b)});
  };
  switch (random.below(10)) {
    case 0:
      return make(Expression::kSum, number(0), copy());
    case 1:
      return make(Expression::kProduct, copy(), number(1));
    case 2: {  // 2a - a
      const Pointer minus = make(Expression::kProduct, number(-1), e);
      return make(Expression::kSum, make(Expression::kProduct, number(2), e), minus);
    }
    case 3: {  // ka / k
      const Pointer k = number(random.between(2, 9));
      return make(Expression::kQuotient, make(Expression::kProduct, k, copy()), k);
    }
    case 4: {  // times sin^2 + cos^2
      const Pointer angle = number(random.between(1, 9));
      const Pointer one =
          make(Expression::kSum, make(Expression::kSquare, make(Expression::kSine, angle)),
               make(Expression::kSquare, make(Expression::kCosine, angle)));
      return make(Expression::kProduct, copy(), one);
    }
    default:
      break;
  }
  const bool is_sum = e->kind == Expression::kSum;
  if (is_sum || e->kind == Expression::kProduct) {
    if (random.below(2)) return make(e->kind, inside(e->b), inside(e->a));
    if (!is_sum && e->b->kind == Expression::kSum) {  // a(b + c) = ab + ac
      return make(Expression::kSum, make(Expression::kProduct, e->a, e->b->a),
                  make(Expression::kProduct, e->a, e->b->b));
    }
  }
  if (e->kind == Expression::kSquare) return make(Expression::kProduct, inside(e->a), e->a);
  return copy();
}

// --- polynomials ---------------------------------------------------------------------------------

// Coefficients of x^i y^j, as text in a random order.
std::string written(const std::array<int, 9>& coefficients, Random& random) {
  std::vector<std::string> terms;
  for (size_t i = 0; i < coefficients.size(); ++i) {
    if (coefficients[i] == 0) continue;
    std::string term = fmt::format("{:+}", coefficients[i]);
    if (i / 3 > 0) term += fmt::format("x^{}", i / 3);
    if (i % 3 > 0) term += fmt::format("y^{{{}}}", i % 3);
    terms.insert(terms.begin() + random.below(static_cast<int>(terms.size()) + 1), term);
  }
  std::string text;
  for (const std::string& term : terms) text += term;
  return text.empty() ? "0" : text;
}

struct Count {
  size_t num_equal_pairs = 0;
  size_t false_negatives = 0;
  size_t num_different_pairs = 0;
  size_t false_positives = 0;

  void expect(bool is_equal, const std::string& candidate, const std::string& gold) {
    const bool says_equal = verify_math_answer(candidate, gold).kind == VerdictKind::kEqual;
    ++(is_equal ? num_equal_pairs : num_different_pairs);
    if (is_equal == says_equal) return;
    ++(is_equal ? false_negatives : false_positives);
    const std::string what = is_equal ? "not found equal: " : "found equal: ";
    MESSAGE(what, gold, " and ", candidate);
  }
  void print(const char* what) const {
    fmt::print(
        "metamorphic, {}: {} of {} equal pairs missed, {} of {} different ones found equal\n", what,
        false_negatives, num_equal_pairs, false_positives, num_different_pairs);
  }
};

TEST_CASE("math metamorphic: one changed coefficient of a polynomial is found") {
  Random random(1);
  Count count;
  for (int i = 0; i < 12'000; ++i) {
    std::array<int, 9> coefficients{};
    for (int& each : coefficients) each = random.below(3) ? random.between(-99, 99) : 0;
    const std::string gold = written(coefficients, random);
    count.expect(true, written(coefficients, random), gold);
    const int change = random.between(1, 5);
    coefficients[static_cast<size_t>(random.below(9))] += random.below(2) ? change : -change;
    count.expect(false, written(coefficients, random), gold);
  }
  count.print("polynomials");
  CHECK(count.num_different_pairs == 12'000);
  CHECK(count.false_positives == 0);
  CHECK(count.false_negatives == 0);
}

TEST_CASE("math metamorphic: identities keep an expression, and anything added changes it") {
  Random random(2);
  Count count;
  for (int i = 0; i < 10'000; ++i) {
    const Pointer e = random_expression(random, 3);
    const std::string gold = written(e);
    const std::string same = written(rewritten(rewritten(e, random), random));
    if (same.size() > kAnswerBytesMax) continue;
    count.expect(true, same, gold);
    const std::string more = i % 2 ? fmt::format("\\frac{{1}}{{10^{{{}}}}}", random.between(1, 60))
                                   : std::to_string(random.between(1, 9)) + "\\sin(1)";
    count.expect(false, same + "+" + more, gold);
  }
  count.print("expressions");
  CHECK(count.num_different_pairs >= 9'500);
  CHECK(count.false_positives == 0);
  CHECK(count.false_negatives * 100 < count.num_equal_pairs);
}

TEST_CASE("math metamorphic: numbers written in other ways stay, their neighbours do not") {
  Random random(3);
  Count count;
  for (int i = 0; i < 4'000; ++i) {
    const int a = random.between(1, 999);
    const int b = random.between(2, 999);
    const int k = random.between(2, 99);
    const std::string gold = fmt::format("\\frac{{{}}}{{{}}}", a, b);
    count.expect(true, fmt::format("{}/{}", a * k, b * k), gold);
    count.expect(true, fmt::format("-\\dfrac{{{}}}{{-{}}}", a, b), gold);
    count.expect(false, fmt::format("\\frac{{{}}}{{{}}}", a * k + 1, b * k), gold);
    count.expect(false, fmt::format("-{}/{}", a, b), gold);
    const std::string root = fmt::format("{}\\sqrt{{{}}}", k, b);
    count.expect(true, fmt::format("\\sqrt{{{}}}", k * k * b), root);
    count.expect(false, fmt::format("\\sqrt{{{}}}", k * k * b + 1), root);
    const std::string power = fmt::format("{}^{{{}}}", k, a);
    count.expect(true, fmt::format("{}^{{{}}}\\cdot {}", k, a - 1, k), power);
    count.expect(false, fmt::format("{}^{{{}}}+1", k, a), power);
  }
  count.print("numbers");
  CHECK(count.false_positives == 0);
  CHECK(count.false_negatives == 0);
}

// A whole number in digits above the line.
std::string superscript(int number) {
  constexpr std::array<const char*, 10> kDigits = {
      "\xE2\x81\xB0", "\xC2\xB9",     "\xC2\xB2",     "\xC2\xB3",     "\xE2\x81\xB4",
      "\xE2\x81\xB5", "\xE2\x81\xB6", "\xE2\x81\xB7", "\xE2\x81\xB8", "\xE2\x81\xB9"};
  std::string text = number < 0 ? "\xE2\x81\xBB" : "";
  for (char c : std::to_string(std::abs(number))) text += kDigits[static_cast<size_t>(c - '0')];
  return text;
}

std::string in_base(int number, int base) {
  std::string digits;
  for (; number > 0; number /= base)
    digits.insert(digits.begin(), static_cast<char>('0' + number % base));
  return digits;
}

TEST_CASE("math metamorphic: what surrounds a value changes nothing, another value does") {
  constexpr std::array<const char*, 24> kForms = {"m+n = {}",
                                                  "x^2+y^2 = {}",
                                                  "|z|^2 = {}",
                                                  "S = ab = {}",
                                                  "N \\equiv {} \\pmod{{100000}}",
                                                  "{} \\pmod{{100000}}",
                                                  "\\approx {}",
                                                  "= {}",
                                                  "{{\\bf {}}}",
                                                  "\\textcolor{{red}}{{{}}}",
                                                  "\\hspace{{1cm}}{}",
                                                  "\\begin{{aligned}} x &= {} \\end{{aligned}}",
                                                  "\\text{{The value is }}{}",
                                                  "The value of x is {}",
                                                  "{} \\text{{ different ways}}",
                                                  "{} (since it is so)",
                                                  "{} \\quad \\text{{(Option B)}}",
                                                  "\\gcd({0}, {0})",
                                                  "\\max(1, {})",
                                                  "{}th",
                                                  "\\sum_{{k=1}}^{{{}}} 1",
                                                  "\\int_0^{{{}}} dx",
                                                  "\\binom{{{}}}{{1}}",
                                                  "C({}, 1)"};
  Random random(4);
  Count count;
  for (int i = 0; i < 4'000; ++i) {
    const int value = 10 * random.between(1, 120) + random.between(4, 9);
    const int other = value + 10 * random.between(1, 9);
    const std::string form = kForms[static_cast<size_t>(i) % kForms.size()];
    if (value % 100 > 10 && value % 100 < 14) continue;
    const std::string gold = std::to_string(value);
    count.expect(true, fmt::format(fmt::runtime(form), value), gold);
    count.expect(false, fmt::format(fmt::runtime(form), other), gold);
  }
  count.print("surroundings");
  CHECK(count.num_different_pairs > 3'000);
  CHECK(count.false_positives == 0);
  CHECK(count.false_negatives == 0);
}

TEST_CASE("math metamorphic: residues, bases, repeating decimals and units convert exactly") {
  Random random(5);
  Count count;
  for (int i = 0; i < 3'000; ++i) {
    const int modulus = random.between(2, 99);
    const int residue = random.below(modulus);
    const int shift = random.between(1, 9) * modulus;
    const std::string congruence = fmt::format("x \\equiv {} \\pmod{{{}}}", residue, modulus);
    count.expect(true, std::to_string(residue), congruence);
    count.expect(true, fmt::format("{} (mod {})", residue + shift, modulus), congruence);
    count.expect(true, fmt::format("x \\equiv {} \\mod {}", residue - shift, modulus), congruence);
    count.expect(false, std::to_string(residue + shift), congruence);
    count.expect(false, fmt::format("{} (mod {})", residue + 1, modulus), congruence);
    count.expect(false, fmt::format("{} (mod {})", residue, modulus + 1), congruence);
    count.expect(false, fmt::format("x = {}", residue), congruence);

    const int base = random.between(2, 9);
    const int number = random.between(base, 5'000);
    const std::string digits = in_base(number, base);
    count.expect(true, digits, fmt::format("{}_{{{}}}", digits, base));
    count.expect(true, fmt::format("{}_{}", digits, base), std::to_string(number));
    count.expect(false, std::to_string(number), fmt::format("{}_{{{}}}", digits, base));
    count.expect(false, fmt::format("{}_{}", digits, base), digits);
    count.expect(false, fmt::format("{}_{}", digits, base + 1), fmt::format("{}_{}", digits, base));

    const int block = random.between(10, 98);
    const std::string fraction = fmt::format("\\frac{{{}}}{{99}}", block);
    if (block % 11 != 0) {
      count.expect(true, fmt::format("0.{0}{0}...", block), fraction);
      count.expect(true, fmt::format("0.({})", block), fraction);
      count.expect(false, fmt::format("0.{0}{0}", block), fraction);
      count.expect(false, fmt::format("0.{0}{0}...", block + 1), fraction);
    }
    const int exponent = random.between(-30, 30);
    count.expect(true, "10" + superscript(exponent), fmt::format("10^{{{}}}", exponent));
    count.expect(false, "10" + superscript(exponent + 1), fmt::format("10^{{{}}}", exponent));

    const int speed = 5 * random.between(1, 99);
    count.expect(true, fmt::format("{} km/h", speed * 18 / 5), fmt::format("{} m/s", speed));
    count.expect(false, fmt::format("{} km/h", speed), fmt::format("{} m/s", speed));
    count.expect(true, fmt::format("{} min", 60 * speed), fmt::format("{} h", speed));
    count.expect(false, fmt::format("{} min", 60 * speed + 1), fmt::format("{} h", speed));
    count.expect(true, fmt::format("{}00 \\text{{ cm}}", speed), fmt::format("{} m", speed));
    count.expect(false, fmt::format("{} \\text{{ cm}}", speed), fmt::format("{} m", speed));
  }
  count.print("conversions");
  CHECK(count.num_different_pairs > 20'000);
  CHECK(count.false_positives == 0);
  CHECK(count.false_negatives == 0);
}

}  // namespace
}  // namespace troupe::actors

#include "actors/verifier/exact_number.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "actors/verifier/answer_text.h"
#include "schemas/check.h"

namespace troupe::actors {
namespace {

constexpr uint64_t kBase = 1'000'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// A decimal literal: its digits without point and commas.
struct Literal {
  std::string digits{};
  bool is_decimal = false;
  size_t num_decimals = 0;
};

// A reader that moves on over what it recognises and stays where it does not.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  std::string_view rest() const { return rest_; }
  void skip_spaces() {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
  }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  // True for a minus.
  bool sign() {
    skip_spaces();
    const bool is_negative = take("-");
    if (!is_negative) take("+");
    skip_spaces();
    return is_negative;
  }
  std::string_view digits() {
    size_t count = 0;
    while (count < rest_.size() && is_digit(rest_[count])) ++count;
    const std::string_view digits = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return digits;
  }

  // 12, 1,234,567, 3.5, .5; a comma must be followed by exactly three digits.
  std::optional<Literal> literal() {
    Literal literal{std::string(digits())};
    if (rest_.starts_with(',') && (literal.digits.empty() || literal.digits.size() > 3)) return {};
    while (take(",")) {
      const std::string_view group = digits();
      if (group.size() != 3) return {};
      literal.digits += group;
    }
    if (rest_.size() > 1 && rest_[0] == '.' && is_digit(rest_[1])) {
      take(".");
      const std::string_view decimals = digits();
      literal.digits += decimals;
      literal.is_decimal = true;
      literal.num_decimals = decimals.size();
    }
    if (literal.digits.empty() || literal.digits.size() > ExactNumber::kDigitsMax) return {};
    return literal;
  }

 private:
  std::string_view rest_;
};

ExactNumber number_of(const Literal& literal) {
  ExactNumber number;
  number.numerator = Natural(literal.digits);
  number.denominator = Natural::power_of_ten(literal.num_decimals);
  number.is_decimal = literal.is_decimal;
  number.num_decimals = literal.num_decimals;
  const size_t first = literal.digits.find_first_not_of('0');
  number.num_significant = first == std::string::npos ? 0 : literal.digits.size() - first;
  return number;
}

std::optional<ExactNumber> quotient(const ExactNumber& above, const ExactNumber& below) {
  if (below.numerator.is_zero()) return {};
  ExactNumber number;
  number.is_negative = above.is_negative != below.is_negative;
  number.numerator = above.numerator * below.denominator;
  number.denominator = above.denominator * below.numerator;
  return number;
}

std::optional<ExactNumber> signed_literal(Cursor& cursor) {
  const bool is_negative = cursor.sign();
  const auto literal = cursor.literal();
  if (!literal) return {};
  ExactNumber number = number_of(*literal);
  number.is_negative = is_negative;
  return number;
}

// What follows \frac: {a}{b}, or single digits without braces.
std::optional<ExactNumber> latex_fraction(Cursor& cursor) {
  std::array<ExactNumber, 2> parts;
  for (ExactNumber& part : parts) {
    cursor.skip_spaces();
    if (cursor.take("{")) {
      const auto number = signed_literal(cursor);
      cursor.skip_spaces();
      if (!number || !cursor.take("}")) return {};
      part = *number;
    } else {
      const std::string_view rest = cursor.rest();
      if (rest.empty() || !is_digit(rest[0])) return {};
      part = number_of({std::string(rest.substr(0, 1))});
      cursor.take(rest.substr(0, 1));
    }
  }
  return quotient(parts[0], parts[1]);
}

// The exponent when `cursor` stands at e5, \times10^5 or \cdot 10^{-5}; moves on only then.
std::optional<int> power_of_ten(Cursor& cursor) {
  Cursor ahead = cursor;
  const bool is_short = ahead.take("e") || ahead.take("E");
  bool is_braced = false;
  if (!is_short) {
    ahead.skip_spaces();
    if (!ahead.take("\\times") && !ahead.take("\\cdot")) return {};
    ahead.skip_spaces();
    if (!ahead.take("10^")) return {};
    is_braced = ahead.take("{");
  }
  const bool is_negative = ahead.take("-");
  if (!is_negative) ahead.take("+");
  const std::string_view digits = ahead.digits();
  if (digits.empty() || digits.size() > 4 || (is_braced && !ahead.take("}"))) return {};
  int exponent = 0;
  for (char digit : digits) exponent = exponent * 10 + (digit - '0');
  if (exponent > static_cast<int>(ExactNumber::kExponentMax)) return {};
  cursor = ahead;
  return is_negative ? -exponent : exponent;
}

std::optional<ExactNumber> unsigned_number(Cursor& cursor) {
  if (cursor.take("\\frac")) return latex_fraction(cursor);
  const auto literal = cursor.literal();
  if (!literal) return {};
  ExactNumber number = number_of(*literal);
  if (const auto exponent = power_of_ten(cursor)) {
    const Natural power = Natural::power_of_ten(static_cast<size_t>(std::abs(*exponent)));
    Natural& side = *exponent < 0 ? number.denominator : number.numerator;
    side = side * power;
    number.is_decimal = false;
    return number;
  }
  Cursor ahead = cursor;
  ahead.skip_spaces();
  if (ahead.take("/")) {
    const auto below = signed_literal(ahead);
    cursor = ahead;
    if (!below) return {};
    return quotient(number, *below);
  }
  // A mixed number: 7\frac34 or 1 1/2.
  std::optional<ExactNumber> fraction;
  if (ahead.take("\\frac")) {
    fraction = latex_fraction(ahead);
    if (!fraction || fraction->is_negative) return {};
  } else if (cursor.rest().starts_with(' ') && !ahead.rest().empty() && is_digit(ahead.rest()[0])) {
    const auto above = ahead.literal();
    if (!above || !ahead.take("/")) return {};
    const auto below = ahead.literal();
    if (!below) return {};
    fraction = quotient(number_of(*above), number_of(*below));
    if (!fraction) return {};
  }
  if (!fraction) return number;
  if (literal->is_decimal) return {};
  cursor = ahead;
  fraction->numerator = fraction->numerator + number.numerator * fraction->denominator;
  return fraction;
}

// The unit in what follows a number, "" for none; nothing when it is something else. A unit must be
// set off, by a space or as upright text: 4x, 3i and 2\sqrt2 are not four, three and two.
std::optional<std::string> unit_of(std::string_view text) {
  constexpr size_t kUnitBytesMax = 32;
  bool is_upright = false;
  bool is_apart = false;
  std::string unit;
  for (char c : text) {
    if (c == kUprightMark) {
      is_upright = is_upright || unit.empty();
    } else if (c == ' ') {
      is_apart = true;
    } else {
      const bool is_power = is_digit(c) && (unit.ends_with('^') || unit.ends_with("^{"));
      if (!is_letter(c) && !is_power && std::string_view("^{}./").find(c) == std::string::npos) {
        return {};
      }
      if (unit.empty() && !is_letter(c)) return {};
      unit += c;
    }
    if (unit.size() > kUnitBytesMax) return {};
  }
  std::erase_if(unit, [](char c) { return c == '{' || c == '}' || c == '.'; });
  if (unit.empty()) return unit;
  if (!is_upright && (!is_apart || unit.size() < 2)) return {};
  // Upright, these are numbers and not units.
  for (std::string_view constant : {"e", "i", "j", "d", "pi", "infinity"}) {
    if (unit == constant) return {};
  }
  return unit;
}

bool is_same(const ExactNumber& a, const ExactNumber& b) {
  if (a.numerator.is_zero() || b.numerator.is_zero()) {
    return a.numerator.is_zero() && b.numerator.is_zero();
  }
  return a.is_negative == b.is_negative &&
         (a.numerator * b.denominator).compare(b.numerator * a.denominator) == 0;
}

// |x - decimal| is at most half a unit of the decimal's last digit, and it has enough of them.
bool rounds_to(const ExactNumber& x, const ExactNumber& decimal) {
  constexpr size_t kSignificantMin = 6;
  if (!decimal.is_decimal || decimal.num_significant < kSignificantMin) return false;
  if (x.is_negative != decimal.is_negative) return false;
  const Natural a = x.numerator * decimal.denominator;
  const Natural b = decimal.numerator * x.denominator;
  const Natural difference = a.compare(b) >= 0 ? a.minus(b) : b.minus(a);
  const Natural twice_unit = Natural("2") * Natural::power_of_ten(decimal.num_decimals);
  return (difference * twice_unit).compare(x.denominator * decimal.denominator) <= 0;
}

bool is_same_or_rounded(const ExactNumber& candidate, const ExactNumber& gold) {
  if (is_same(candidate, gold)) return true;
  return gold.is_decimal ? rounds_to(candidate, gold) : rounds_to(gold, candidate);
}

ExactNumber hundredth(ExactNumber number) {
  number.denominator = number.denominator * Natural("100");
  number.is_decimal = false;
  return number;
}

}  // namespace

Natural::Natural(std::string_view digits) {
  while (!digits.empty()) {
    const size_t begin = digits.size() > 9 ? digits.size() - 9 : 0;
    uint32_t limb = 0;
    for (char digit : digits.substr(begin)) {
      TROUPE_CHECK(is_digit(digit));
      limb = limb * 10 + static_cast<uint32_t>(digit - '0');
    }
    limbs_.push_back(limb);
    digits = digits.substr(0, begin);
  }
  trim();
}

Natural Natural::power_of_ten(size_t exponent) { return Natural("1" + std::string(exponent, '0')); }

void Natural::trim() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
}

Natural Natural::operator*(const Natural& other) const {
  Natural product;
  product.limbs_.resize(limbs_.size() + other.limbs_.size());
  for (size_t i = 0; i < limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < other.limbs_.size() || carry > 0; ++j) {
      const uint64_t factor = j < other.limbs_.size() ? other.limbs_[j] : 0;
      carry += product.limbs_[i + j] + uint64_t{limbs_[i]} * factor;
      product.limbs_[i + j] = static_cast<uint32_t>(carry % kBase);
      carry /= kBase;
    }
  }
  product.trim();
  return product;
}

Natural Natural::operator+(const Natural& other) const {
  Natural sum;
  uint64_t carry = 0;
  for (size_t i = 0; i < std::max(limbs_.size(), other.limbs_.size()) || carry > 0; ++i) {
    if (i < limbs_.size()) carry += limbs_[i];
    if (i < other.limbs_.size()) carry += other.limbs_[i];
    sum.limbs_.push_back(static_cast<uint32_t>(carry % kBase));
    carry /= kBase;
  }
  return sum;
}

Natural Natural::minus(const Natural& smaller) const {
  TROUPE_CHECK(compare(smaller) >= 0);
  Natural difference = *this;
  uint32_t borrow = 0;
  for (size_t i = 0; i < limbs_.size(); ++i) {
    const uint64_t taken = uint64_t{borrow} + (i < smaller.limbs_.size() ? smaller.limbs_[i] : 0);
    borrow = limbs_[i] < taken;
    difference.limbs_[i] = static_cast<uint32_t>(limbs_[i] + borrow * kBase - taken);
  }
  difference.trim();
  return difference;
}

int Natural::compare(const Natural& other) const {
  if (limbs_.size() != other.limbs_.size()) return limbs_.size() < other.limbs_.size() ? -1 : 1;
  for (size_t i = limbs_.size(); i-- > 0;) {
    if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i] ? -1 : 1;
  }
  return 0;
}

std::optional<ExactNumber> parse_exact_number(std::string_view text) {
  Cursor cursor(text);
  const bool is_negative = cursor.sign();
  auto number = unsigned_number(cursor);
  if (!number) return {};
  number->is_negative = number->is_negative != is_negative;
  Cursor after = cursor;
  after.skip_spaces();
  if (after.take("%")) {
    number->is_percent = true;
    cursor = after;
  }
  auto unit = unit_of(cursor.rest());
  if (!unit) return {};
  if (*unit == "percent") {
    number->is_percent = true;
    unit->clear();
  }
  number->unit = std::move(*unit);
  return number;
}

bool has_gold_value(const ExactNumber& candidate, const ExactNumber& gold) {
  if (is_same_or_rounded(candidate, gold)) return true;
  if (candidate.is_percent == gold.is_percent) return false;
  return candidate.is_percent ? is_same_or_rounded(hundredth(candidate), gold)
                              : is_same_or_rounded(candidate, hundredth(gold));
}

}  // namespace troupe::actors

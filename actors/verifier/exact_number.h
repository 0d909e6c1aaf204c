// Integers, decimals, fractions, mixed numbers and percentages as they are written in answers, read
// and compared exactly: digits of any count up to a cap, never floating point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::actors {

// A natural number, little-endian in base 10^9.
class Natural {
 public:
  Natural() = default;
  explicit Natural(std::string_view digits);  // Decimal digits only.
  static Natural power_of_ten(size_t exponent);

  bool is_zero() const { return limbs_.empty(); }
  Natural operator*(const Natural& other) const;
  Natural operator+(const Natural& other) const;
  Natural minus(const Natural& smaller) const;
  int compare(const Natural& other) const;  // < 0, 0 or > 0

 private:
  void trim();

  std::vector<uint32_t> limbs_{};  // No leading zero limb; empty is zero.
};

struct ExactNumber {
  static constexpr size_t kDigitsMax = 1000;    // Of one literal.
  static constexpr size_t kExponentMax = 1000;  // Of 10 in scientific notation.

  bool is_negative = false;
  Natural numerator{};
  Natural denominator{};  // Not zero.
  bool is_percent = false;
  // How a literal with a decimal point was written; others are exact.
  bool is_decimal = false;
  size_t num_decimals = 0;     // Digits after the point.
  size_t num_significant = 0;  // Digits from the first that is not zero.
  std::string unit{};          // Letters after the number, e.g. "cm^2"; empty: none.
};

// Reads text in plain_answer's form; nothing when it is not such a number, has a zero denominator
// or exceeds a cap.
std::optional<ExactNumber> parse_exact_number(std::string_view text);

// Whether the candidate is the gold's value, units aside:
//   exactly; or
//   a decimal with at least 6 significant digits to which the exact gold rounds; or
//   rounding to a decimal gold that has at least 6 significant digits;
//   50% is also 1/2, and 50 where only one of the two has the sign.
bool has_gold_value(const ExactNumber& candidate, const ExactNumber& gold);

}  // namespace troupe::actors

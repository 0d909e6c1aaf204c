#include "actors/verifier/code/output_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "actors/verifier/printable.h"

namespace troupe::actors {
namespace {

constexpr std::string_view kSpace = " \t\r\v\f";
constexpr double kTolerance = 1e-6;
constexpr size_t kNumberBytesMax = 64;

// The next word of a line; empty at its end.
std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

// The next line that is not blank, with its number; false at the end.
bool next_line(std::string_view& text, std::string_view& line, size_t& number) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.find_first_not_of(kSpace) != line.npos) return true;
  }
  return false;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Decimal {
  bool is_negative = false;
  bool has_fraction = false;  // A point or an exponent.
  std::string_view text{};
};

// 12, -3.50, 1e-7; not 0x10, inf or nan, and nothing that strtod alone would take.
std::optional<Decimal> decimal(std::string_view word) {
  if (word.empty() || word.size() > kNumberBytesMax) return {};
  Decimal number{.text = word};
  size_t i = 0, num_digits = 0;
  if (word[i] == '+' || word[i] == '-') number.is_negative = word[i++] == '-';
  bool has_point = false;
  for (; i < word.size(); ++i) {
    if (is_digit(word[i])) {
      ++num_digits;
    } else if (word[i] == '.' && !has_point) {
      has_point = true;
    } else {
      break;
    }
  }
  if (num_digits == 0) return {};
  number.has_fraction = has_point;
  if (i < word.size() && (word[i] == 'e' || word[i] == 'E')) {
    number.has_fraction = true;
    ++i;
    if (i < word.size() && (word[i] == '+' || word[i] == '-')) ++i;
    const size_t begin = i;
    while (i < word.size() && is_digit(word[i])) ++i;
    if (i == begin || i - begin > 4) return {};
  }
  if (i != word.size()) return {};
  return number;
}

// Digits of an integer without sign and leading zeros.
std::string_view magnitude(std::string_view word) {
  if (word.front() == '+' || word.front() == '-') word.remove_prefix(1);
  word.remove_prefix(std::min(word.find_first_not_of('0'), word.size()));
  return word;
}

bool is_same_word(std::string_view got, std::string_view expected) {
  if (got == expected) return true;
  const auto a = decimal(got), b = decimal(expected);
  if (!a || !b) return false;
  // 00101 is expected as it is written.
  if (expected.size() > 1 && expected[0] == '0' && is_digit(expected[1])) return false;
  if (!a->has_fraction && !b->has_fraction) {
    const std::string_view x = magnitude(got), y = magnitude(expected);
    return x == y && (x.empty() || a->is_negative == b->is_negative);
  }
  const double x = std::strtod(std::string(got).c_str(), nullptr);
  const double y = std::strtod(std::string(expected).c_str(), nullptr);
  if (!std::isfinite(x) || !std::isfinite(y)) return false;
  // 7.0 for 7; but a whole number too large for a double to hold exactly is compared as text only.
  if (!b->has_fraction) return x == y && std::abs(y) < 9007199254740992.0;
  return std::abs(x - y) <= kTolerance * std::max(1.0, std::abs(y));
}

std::string shown(std::string_view word) {
  constexpr size_t kShownBytesMax = 40;
  return word.empty() ? "nothing" : "'" + printable(word, kShownBytesMax) + "'";
}

}  // namespace

std::string difference(std::string_view output, std::string_view expected) {
  size_t number = 0, expected_number = 0;
  while (true) {
    std::string_view line, expected_line;
    const bool has_line = next_line(output, line, number);
    const bool has_expected = next_line(expected, expected_line, expected_number);
    if (!has_line && !has_expected) return {};
    if (!has_expected) return fmt::format("line {}: more output than expected", number);
    if (!has_line) return fmt::format("the output ends after {} lines", number);
    while (true) {
      const std::string_view got = next_word(line), wanted = next_word(expected_line);
      if (got.empty() && wanted.empty()) break;
      // The expected word is not told: reasons are shown where prompts are.
      if (!is_same_word(got, wanted)) {
        return fmt::format("line {}: {} is not what was expected", number, shown(got));
      }
    }
  }
}

}  // namespace troupe::actors

#include "actors/verifier/math/compound.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/unit_parser.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

struct Part {
  std::string number{};
  Unit unit{};
  std::vector<Token> unit_tokens{};
};

bool is_at(const std::vector<Token>& tokens, size_t at, Kind kind) {
  return at < tokens.size() && tokens[at].kind == kind;
}

// The value of a few digits; nothing for other numbers.
std::optional<uint64_t> small_whole(std::string_view digits) {
  constexpr size_t kDigitsMax = 6;
  if (digits.empty() || digits.size() > kDigitsMax) return {};
  uint64_t value = 0;
  for (const char c : digits) {
    if (!is_digit(c)) return {};
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

std::string_view whole_part(std::string_view number) { return number.substr(0, number.find('.')); }

// How many of the smaller unit the larger one is; nothing where that is no whole number above one.
std::optional<uint64_t> ratio_of(const Unit& larger, const Unit& smaller) {
  if (!larger.noun.empty() || !larger.is_commensurable(smaller)) return {};
  const auto up =
      static_cast<unsigned __int128>(larger.factor_numerator) * smaller.factor_denominator;
  const auto down =
      static_cast<unsigned __int128>(larger.factor_denominator) * smaller.factor_numerator;
  constexpr unsigned __int128 kRatioMax = 1'000'000'000;
  if (up % down != 0 || up / down < 2 || up / down > kRatioMax) return {};
  return static_cast<uint64_t>(up / down);
}

// ' and " as the marks of feet and inches, or behind a degree of its minutes and seconds: whether
// `at` has the mark of that many strokes. Moves behind it.
bool take_strokes(const std::vector<Token>& tokens, size_t& at, int strokes) {
  if (strokes == 2 && is_at(tokens, at, Kind::kUnknown) && tokens[at].text == "\"") {
    ++at;
    return true;
  }
  size_t end = at;
  while (is_at(tokens, end, Kind::kPrime)) ++end;
  if (end - at != static_cast<size_t>(strokes)) return false;
  at = end;
  return true;
}

Token word(std::string_view text) {
  return {.kind = Kind::kWord, .has_space_before = true, .text = std::string(text)};
}

// 5'6" and 30 degrees 15' 20": the numbers, each with how many of the next unit its unit is.
std::vector<Token> stroked(const std::vector<Token>& tokens) {
  if (!is_at(tokens, 0, Kind::kNumber) || tokens.size() < 4) return {};
  const bool is_angle = is_at(tokens, 1, Kind::kDegree);
  size_t at = 1;
  std::vector<std::string> numbers = {tokens[0].text};
  if (is_angle) {
    ++at;
  } else if (!take_strokes(tokens, at, 1)) {
    return {};
  }
  const uint64_t ratio = is_angle ? 60 : 12;
  for (int strokes = is_angle ? 1 : 2; strokes <= 2 && at < tokens.size(); ++strokes) {
    if (!is_at(tokens, at, Kind::kNumber)) return {};
    numbers.push_back(tokens[at++].text);
    const auto whole = small_whole(whole_part(numbers.back()));
    if (!whole || *whole >= ratio || !take_strokes(tokens, at, strokes)) return {};
  }
  if (at != tokens.size() || numbers.size() < 2) return {};
  for (size_t i = 0; i + 1 < numbers.size(); ++i) {
    if (!small_whole(numbers[i])) return {};
  }
  std::vector<Token> sum = {{.kind = Kind::kOpen, .detail = '('}};
  uint64_t scale = 1;
  for (size_t i = numbers.size(); i-- > 0; scale *= ratio) {
    sum.push_back({.kind = Kind::kNumber, .text = numbers[i]});
    if (is_angle) {
      sum.push_back({.kind = Kind::kTimes});
      sum.push_back({.kind = Kind::kNumber, .text = std::to_string(scale)});
    } else if (i == 0) {
      sum.push_back({.kind = Kind::kTimes});
      sum.push_back({.kind = Kind::kNumber, .text = "12"});
    }
    if (i > 0) sum.push_back({.kind = Kind::kPlus});
  }
  sum.push_back({.kind = Kind::kClose, .detail = '('});
  if (is_angle) {
    sum.push_back({.kind = Kind::kDivide});
    sum.push_back({.kind = Kind::kNumber, .text = numbers.size() == 2 ? "60" : "3600"});
    sum.insert(sum.begin(), {.kind = Kind::kOpen, .detail = '('});
    sum.push_back({.kind = Kind::kClose, .detail = '('});
    sum.push_back({.kind = Kind::kDegree});
  } else {
    sum.push_back(word("inches"));
  }
  return sum;
}

}  // namespace

std::vector<Token> single_quantity(const std::vector<Token>& tokens) {
  constexpr size_t kPartsMax = 4;
  if (std::vector<Token> sum = stroked(tokens); !sum.empty()) return sum;
  std::vector<Part> parts;
  for (size_t at = 0; at < tokens.size();) {
    if (!parts.empty() && is_at(tokens, at, Kind::kAnd)) ++at;
    if (!is_at(tokens, at, Kind::kNumber) || parts.size() == kPartsMax) return {};
    Part part{.number = tokens[at++].text};
    const auto unit = at < tokens.size() ? parse_unit(tokens, at) : std::nullopt;
    if (!unit) return {};
    part.unit = unit->unit;
    part.unit_tokens.assign(tokens.begin() + static_cast<std::ptrdiff_t>(at),
                            tokens.begin() + static_cast<std::ptrdiff_t>(unit->end));
    at = unit->end;
    parts.push_back(std::move(part));
  }
  if (parts.size() < 2) return {};
  std::vector<Token> sum = {{.kind = Kind::kOpen, .detail = '('}};
  const Unit& smallest = parts.back().unit;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool is_last = i + 1 == parts.size();
    if (!is_last) {
      const auto next = ratio_of(parts[i].unit, parts[i + 1].unit);
      const auto below = small_whole(whole_part(parts[i + 1].number));
      if (!next || !below || *below >= *next || !small_whole(parts[i].number)) return {};
    }
    sum.push_back({.kind = Kind::kNumber, .text = parts[i].number});
    if (is_last) break;
    const auto ratio = ratio_of(parts[i].unit, smallest);
    if (!ratio) return {};
    sum.push_back({.kind = Kind::kTimes});
    sum.push_back({.kind = Kind::kNumber, .text = std::to_string(*ratio)});
    sum.push_back({.kind = Kind::kPlus});
  }
  sum.push_back({.kind = Kind::kClose, .detail = '('});
  sum.insert(sum.end(), parts.back().unit_tokens.begin(), parts.back().unit_tokens.end());
  return sum;
}

}  // namespace troupe::actors

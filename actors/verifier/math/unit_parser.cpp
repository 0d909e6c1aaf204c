#include "actors/verifier/math/unit_parser.h"

#include <string>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

bool is_unit_letter(const Token& token) {
  return token.kind == Kind::kLetter && token.is_upright &&
         (find_unit(token.text) || is_unit_symbol(token.text));
}

// ^2, ^{3} or ^{-1} at `at`; moves it behind.
int exponent_at(const std::vector<Token>& tokens, size_t& at) {
  size_t end = at;
  const auto is_at = [&](Kind kind, char detail) {
    return end < tokens.size() && tokens[end].kind == kind && tokens[end].detail == detail;
  };
  if (!is_at(Kind::kCaret, 0)) return 1;
  ++end;
  const bool is_braced = is_at(Kind::kOpen, '{');
  if (is_braced) ++end;
  const bool is_negative = is_at(Kind::kMinus, 0);
  if (is_negative) ++end;
  if (!is_at(Kind::kNumber, 0) || tokens[end].text.size() != 1) return 1;
  const int power = tokens[end].text[0] - '0';
  ++end;
  if (is_braced && !is_at(Kind::kClose, '{')) return 1;
  at = end + (is_braced ? 1 : 0);
  return is_negative ? -power : power;
}

// {...} at `at`, without its braces; moves it behind.
std::optional<std::vector<Token>> braced_at(const std::vector<Token>& tokens, size_t& at) {
  const auto is_brace = [&](size_t i, Kind kind) {
    return i < tokens.size() && tokens[i].kind == kind && tokens[i].detail == '{';
  };
  if (!is_brace(at, Kind::kOpen)) return {};
  std::vector<Token> inside;
  for (size_t i = at + 1; i < tokens.size() && !is_brace(i, Kind::kOpen); ++i) {
    if (is_brace(i, Kind::kClose)) {
      at = i + 1;
      return inside;
    }
    inside.push_back(tokens[i]);
  }
  return {};
}

}  // namespace

std::optional<ParsedUnit> parse_unit_fraction(const std::vector<Token>& tokens, size_t begin) {
  size_t at = begin + 1;
  auto units = braced_at(tokens, at);
  const auto below = units ? braced_at(tokens, at) : std::nullopt;
  if (!below) return {};
  units->push_back({.kind = Kind::kDivide});
  units->insert(units->end(), below->begin(), below->end());
  auto parsed = parse_unit(*units, 0);
  if (!parsed || parsed->end != units->size()) return {};
  parsed->end = at;
  return parsed;
}

std::optional<ParsedUnit> parse_unit(const std::vector<Token>& tokens, size_t begin) {
  constexpr int kWordsMax = 4;
  ParsedUnit parsed{{}, begin};
  int sign = 1;
  int power = 1;  // From "square" and "cubic".
  int num_words = 0;
  bool has_unit = false;
  size_t at = begin;
  while (at < tokens.size()) {
    const Token& token = tokens[at];
    const bool is_word = token.kind == Kind::kWord;
    if ((is_word && token.text == "per") || (token.kind == Kind::kDivide && has_unit)) {
      if (sign < 0) return {};
      sign = -1;
      ++at;
      continue;
    }
    if (is_word && (token.text == "square" || token.text == "sq")) {
      power = 2;
      ++at;
      continue;
    }
    if (is_word && (token.text == "cubic" || token.text == "cu")) {
      power = 3;
      ++at;
      continue;
    }
    const bool is_currency = token.kind == Kind::kCurrency;
    if (!is_word && !is_currency && !is_unit_letter(token)) break;
    if (++num_words > kWordsMax) return {};
    ++at;
    if (is_word && singular(token.text) == "unit") {
      exponent_at(tokens, at);  // Units squared are as little a unit.
    } else {
      std::optional<Unit> unit = find_unit(token.text);
      if (!unit && is_never_unit(token.text)) return {};
      if (!unit) unit = Unit{.noun = (sign < 0 ? "per " : "") + singular(token.text)};
      const bool is_noun = !unit->noun.empty();
      const int exponent = is_noun ? 1 : sign * power * exponent_at(tokens, at);
      const auto product = times_power(parsed.unit, *unit, exponent);
      if (!product) return {};
      parsed.unit = *product;
    }
    has_unit = true;
    sign = 1;
    power = 1;
  }
  if (!has_unit || sign < 0 || power != 1) return {};
  parsed.end = at;
  return parsed;
}

}  // namespace troupe::actors

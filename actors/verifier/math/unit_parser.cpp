#include "actors/verifier/math/unit_parser.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

// Whether the letter at `at` is a unit's symbol: in \text, or below one as in km/h.
bool is_unit_letter(const std::vector<Token>& tokens, size_t at, bool has_unit) {
  const Token& token = tokens[at];
  if (token.kind != Kind::kLetter) return false;
  const bool is_joined = has_unit && at > 0 && tokens[at - 1].kind == Kind::kDivide;
  return (token.is_upright || is_joined) && find_unit(token.text).has_value();
}

// They say where a length or a time lies: "5 years old".
bool is_position(std::string_view word) {
  constexpr std::string_view kWords[] = {"old",  "tall", "long", "wide",
                                         "high", "deep", "away", "apart"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

// They count nothing else than the noun behind them does.
bool is_adjective(std::string_view word) {
  constexpr std::string_view kWords[] = {"different", "distinct", "possible", "unique", "total",
                                         "such",      "various",  "separate", "full",   "whole"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
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

// The rest of "12 ways to choose them": it says what the ways are.
bool is_phrase(const std::vector<Token>& tokens, size_t at) {
  const bool begins = tokens[at].kind == Kind::kWord &&
                      (tokens[at].text == "to" || tokens[at].text == "of") &&
                      at + 1 < tokens.size();
  return begins && std::all_of(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1, tokens.end(),
                               [](const Token& token) {
                                 const bool may_follow =
                                     token.kind == Kind::kWord && !is_never_unit(token.text);
                                 return may_follow || token.text == "the" || token.text == "choose";
                               });
}

// 2 for "squared" and 3 for "cubed" at `at`, which moves behind.
int power_word_at(const std::vector<Token>& tokens, size_t& at) {
  if (at >= tokens.size() || tokens[at].kind != Kind::kWord) return 1;
  const int power = tokens[at].text == "squared" ? 2 : tokens[at].text == "cubed" ? 3 : 1;
  if (power != 1) ++at;
  return power;
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

bool is_micro(const std::vector<Token>& tokens, size_t at) {
  return tokens[at].kind == Kind::kLetter && tokens[at].text == "mu" && at + 1 < tokens.size() &&
         find_unit("u" + tokens[at + 1].text) &&
         (tokens[at + 1].kind == Kind::kWord || tokens[at + 1].is_upright);
}

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

std::optional<ParsedUnit> parse_unit(const std::vector<Token>& tokens, size_t begin,
                                     bool is_below) {
  constexpr int kWordsMax = 4;
  ParsedUnit parsed{{}, begin};
  int sign = is_below ? -1 : 1;
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
    const bool is_joint = token.kind == Kind::kTimes && has_unit && at + 1 < tokens.size();
    const bool is_unit_next =
        is_joint && (tokens[at + 1].kind == Kind::kWord ||
                     (tokens[at + 1].kind == Kind::kLetter && tokens[at + 1].is_upright));
    if (is_unit_next) {
      ++at;  // N \cdot m
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
    const bool is_stop = token.kind == Kind::kUnknown && token.text == ".";
    if (is_stop && (has_unit || power != 1)) {  // sq. ft.
      ++at;
      continue;
    }
    const bool is_last = at + 1 == tokens.size();
    const bool is_hyphen = token.kind == Kind::kMinus && has_unit && !token.has_space_before &&
                           !is_last && tokens[at + 1].kind == Kind::kWord;
    if (is_hyphen || (is_word && is_last && has_unit && is_position(token.text))) {
      ++at;
      continue;
    }
    if (is_word && !is_last && is_adjective(token.text)) {
      ++at;
      continue;
    }
    if (has_unit && is_phrase(tokens, at)) {
      at = tokens.size();
      break;
    }
    const bool has_micro = is_micro(tokens, at);
    const bool is_currency = token.kind == Kind::kCurrency;
    if (!is_word && !is_currency && !has_micro && !is_unit_letter(tokens, at, has_unit)) break;
    if (++num_words > kWordsMax) return {};
    const std::string name = has_micro ? "u" + tokens[at + 1].text : token.text;
    at += has_micro ? 2 : 1;
    if (is_word && singular(name) == "unit") {
      exponent_at(tokens, at);  // Units squared are as little a unit.
    } else {
      std::optional<Unit> unit = find_unit(name);
      if (!unit && is_never_unit(name)) return {};
      const bool is_known = unit.has_value();
      if (!unit) unit = Unit{.noun = singular(name)};
      int exponent = sign * power * (is_known ? exponent_at(tokens, at) : 1);
      if (is_known) exponent *= power_word_at(tokens, at);
      if (!unit->noun.empty()) {  // What has no dimension has no powers: J/K is "per kelvin".
        if (sign < 0) {
          unit->noun = "per " + unit->noun;
          std::swap(unit->factor_numerator, unit->factor_denominator);
        }
        exponent = 1;
      }
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

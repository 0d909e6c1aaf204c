#include "actors/verifier/math/units.h"

#include <algorithm>
#include <limits>

namespace troupe::actors {
namespace {

struct Entry {
  std::string_view name;
  Dimension dimension;
  int8_t power;
  uint64_t numerator;
  uint64_t denominator;
};

constexpr Dimension kL = Dimension::kLength;
constexpr Dimension kT = Dimension::kTime;
constexpr Dimension kM = Dimension::kMass;
constexpr Dimension kMoney = Dimension::kMoney;

// Singular names; an inch is 0.0254 m and a pound 453.59237 g by definition.
constexpr Entry kUnits[] = {
    {"m", kL, 1, 1, 1},
    {"meter", kL, 1, 1, 1},
    {"metre", kL, 1, 1, 1},
    {"cm", kL, 1, 1, 100},
    {"centimeter", kL, 1, 1, 100},
    {"centimetre", kL, 1, 1, 100},
    {"mm", kL, 1, 1, 1000},
    {"millimeter", kL, 1, 1, 1000},
    {"millimetre", kL, 1, 1, 1000},
    {"dm", kL, 1, 1, 10},
    {"decimeter", kL, 1, 1, 10},
    {"km", kL, 1, 1000, 1},
    {"kilometer", kL, 1, 1000, 1},
    {"kilometre", kL, 1, 1000, 1},
    {"inch", kL, 1, 254, 10000},
    {"inches", kL, 1, 254, 10000},
    {"in", kL, 1, 254, 10000},
    {"ft", kL, 1, 3048, 10000},
    {"foot", kL, 1, 3048, 10000},
    {"feet", kL, 1, 3048, 10000},
    {"yd", kL, 1, 9144, 10000},
    {"yard", kL, 1, 9144, 10000},
    {"mi", kL, 1, 1609344, 1000},
    {"mile", kL, 1, 1609344, 1000},
    {"s", kT, 1, 1, 1},
    {"sec", kT, 1, 1, 1},
    {"second", kT, 1, 1, 1},
    {"ms", kT, 1, 1, 1000},
    {"millisecond", kT, 1, 1, 1000},
    {"min", kT, 1, 60, 1},
    {"minute", kT, 1, 60, 1},
    {"h", kT, 1, 3600, 1},
    {"hr", kT, 1, 3600, 1},
    {"hrs", kT, 1, 3600, 1},
    {"hour", kT, 1, 3600, 1},
    {"day", kT, 1, 86400, 1},
    {"week", kT, 1, 604800, 1},
    {"g", kM, 1, 1, 1},
    {"gram", kM, 1, 1, 1},
    {"mg", kM, 1, 1, 1000},
    {"milligram", kM, 1, 1, 1000},
    {"kg", kM, 1, 1000, 1},
    {"kilogram", kM, 1, 1000, 1},
    {"ton", kM, 1, 1000000, 1},
    {"tonne", kM, 1, 1000000, 1},
    {"lb", kM, 1, 45359237, 100000},
    {"lbs", kM, 1, 45359237, 100000},
    {"pound", kM, 1, 45359237, 100000},
    {"oz", kM, 1, 45359237, 1600000},
    {"ounce", kM, 1, 45359237, 1600000},
    {"l", kL, 3, 1, 1000},
    {"liter", kL, 3, 1, 1000},
    {"litre", kL, 3, 1, 1000},
    {"L", kL, 3, 1, 1000},
    {"ml", kL, 3, 1, 1000000},
    {"milliliter", kL, 3, 1, 1000000},
    {"millilitre", kL, 3, 1, 1000000},
    {"dollar", kMoney, 1, 1, 1},
    {"usd", kMoney, 1, 1, 1},
    {"cent", kMoney, 1, 1, 100},
    {"mph", kL, 1, 1609344, 1000},
};

constexpr std::string_view kNeverUnits[] = {"or",        "and",        "maybe",     "not",
                                            "no",        "is",         "if",        "when",
                                            "then",      "to",         "than",      "less",
                                            "more",      "about",      "almost",    "approximately",
                                            "but",       "else",       "either",    "possibly",
                                            "probably",  "perhaps",    "the",       "answer",
                                            "equal",     "equals",     "wrong",     "right",
                                            "true",      "false",      "unless",    "except",
                                            "for",       "where",      "all",       "any",
                                            "with",      "mod",        "modulo",    "million",
                                            "billion",   "thousand",   "hundred",   "trillion",
                                            "dozen",     "half",       "halves",    "third",
                                            "fourth",    "fifth",      "sixth",     "seventh",
                                            "eighth",    "ninth",      "tenth",     "quarter",
                                            "approx",    "roughly",    "around",    "circa",
                                            "squared",   "cubed",      "factorial", "times",
                                            "plus",      "minus",      "over",      "divided",
                                            "base",      "at",         "by",        "in",
                                            "from",      "as",         "so",        "yes",
                                            "hence",     "thus",       "because",   "negative",
                                            "positive",  "below",      "above",     "under",
                                            "hundredth", "thousandth", "millionth", "billionth",
                                            "twentieth", "gross",      "score",     "lakh",
                                            "crore",     "incorrect",  "invalid",   "nope",
                                            "never",     "otherwise",  "nor",       "neither",
                                            "could",     "might",      "may",       "would",
                                            "should",    "actually",   "wait",      "sorry",
                                            "unknown",   "zero",       "one",       "two",
                                            "three",     "four",       "five",      "six",
                                            "seven",     "eight",      "nine",      "ten",
                                            "eleven",    "twelve",     "twenty",    "thirty",
                                            "forty",     "fifty",      "sixty",     "seventy",
                                            "eighty",    "ninety",     "sqrt",      "exponent",
                                            "doubled",   "tripled",    "halved",    "twice",
                                            "choose",    "infinity",   "pi",        "approaching",
                                            "nearly"};

std::optional<uint64_t> product(uint64_t a, uint64_t b) {
  if (a != 0 && b > std::numeric_limits<uint64_t>::max() / a) return {};
  return a * b;
}

}  // namespace

std::string singular(std::string_view word) {
  if (word == "people") return "person";
  if (word.size() > 3 && word.ends_with("ies")) {
    return std::string(word.substr(0, word.size() - 3)) + "y";
  }
  if (word.size() > 3 && word.ends_with('s') && !word.ends_with("ss")) word.remove_suffix(1);
  return std::string(word);
}

std::optional<Unit> find_unit(std::string_view word) {
  const std::string one = singular(word);
  for (const Entry& entry : kUnits) {
    if (entry.name != word && entry.name != one) continue;
    Unit unit;
    unit.powers[static_cast<size_t>(entry.dimension)] = entry.power;
    unit.factor_numerator = entry.numerator;
    unit.factor_denominator = entry.denominator;
    if (word == "mph") {
      unit.powers[static_cast<size_t>(Dimension::kTime)] = -1;
      unit.factor_denominator *= 3600;
    }
    return unit;
  }
  return {};
}

std::optional<Unit> times_power(const Unit& unit, const Unit& other, int power) {
  constexpr int kPowerMax = 6;
  const int count = power < 0 ? -power : power;
  if (count > kPowerMax || (!other.noun.empty() && power != 1)) return {};
  Unit result = unit;
  for (int i = 0; i < count; ++i) {
    for (size_t d = 0; d < result.powers.size(); ++d) {
      const int sum = result.powers[d] + (power < 0 ? -other.powers[d] : other.powers[d]);
      if (sum > kPowerMax || sum < -kPowerMax) return {};
      result.powers[d] = static_cast<int8_t>(sum);
    }
    const auto up = product(result.factor_numerator,
                            power < 0 ? other.factor_denominator : other.factor_numerator);
    const auto down = product(result.factor_denominator,
                              power < 0 ? other.factor_numerator : other.factor_denominator);
    if (!up || !down) return {};
    result.factor_numerator = *up;
    result.factor_denominator = *down;
  }
  if (!other.noun.empty()) result.noun += (result.noun.empty() ? "" : " ") + other.noun;
  return result;
}

bool is_unit_symbol(std::string_view letter) {
  return letter.size() == 1 && std::string_view("NJWVACF").find(letter[0]) != letter.npos;
}

bool is_never_unit(std::string_view word) {
  return std::any_of(std::begin(kNeverUnits), std::end(kNeverUnits), [&](std::string_view never) {
    return never == word || never == singular(word);
  });
}

}  // namespace troupe::actors

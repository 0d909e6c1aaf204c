#include "actors/verifier/math/units.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

constexpr uint64_t kThousand = 1'000;
constexpr uint64_t kMillion = 1'000'000;

// How an entry's name is read.
enum Reading : uint8_t {
  kName = 1,      // A word in any number and in any case.
  kSymbol = 2,    // As it is written, and only where a unit is meant: N, Pa.
  kPlain = 4,     // A symbol that nobody takes for a product of variables: cm, kg.
  kPrefixed = 8,  // Takes kilo, milli and the like.
};

struct Entry {
  std::string_view name;
  uint8_t reading;
  Powers powers;  // Length, time, mass, money, current, months, amount.
  uint64_t numerator = 1;
  uint64_t denominator = 1;
  std::string_view noun = {};  // What is measured has no dimension here.
};

constexpr Powers kLength = {1};
constexpr Powers kArea = {2};
constexpr Powers kVolume = {3};
constexpr Powers kTime = {0, 1};
constexpr Powers kMass = {0, 0, 1};
constexpr Powers kMoney = {0, 0, 0, 1};
constexpr Powers kMonths = {0, 0, 0, 0, 0, 1};
constexpr Powers kAmount = {0, 0, 0, 0, 0, 0, 1};
constexpr Powers kSpeed = {1, -1};
constexpr Powers kFrequency = {0, -1};
constexpr Powers kForce = {1, -2, 1};
constexpr Powers kEnergy = {2, -2, 1};
constexpr Powers kPower = {2, -3, 1};
constexpr Powers kPressure = {-1, -2, 1};
constexpr Powers kCurrent = {0, 0, 0, 0, 1};
constexpr Powers kCharge = {0, 1, 0, 0, 1};
constexpr Powers kVoltage = {2, -3, 1, 0, -1};
constexpr Powers kResistance = {2, -3, 1, 0, -2};
constexpr Powers kCapacitance = {-2, 4, -1, 0, 2};
constexpr Powers kField = {0, -2, 1, 0, -1};
constexpr Powers kFlux = {2, -2, 1, 0, -1};
constexpr Powers kInductance = {2, -2, 1, 0, -2};
constexpr Powers kCount = {};

// An inch is 0.0254 m, a pound 453.59237 g, a gallon 231 cubic inches by definition. The base units
// are metre, second, gram, dollar, ampere, month and mole.
constexpr Entry kUnits[] = {
    // Length.
    {"m", kSymbol | kPrefixed, kLength},
    {"meter", kName | kPrefixed, kLength},
    {"metre", kName | kPrefixed, kLength},
    {"micron", kName, kLength, 1, kMillion},
    {"angstrom", kName, kLength, 1, 10'000 * kMillion},
    {"inch", kName | kPlain, kLength, 254, 10'000},
    {"inches", kName, kLength, 254, 10'000},
    {"in", kPlain, kLength, 254, 10'000},
    {"ft", kPlain, kLength, 3'048, 10'000},
    {"foot", kName, kLength, 3'048, 10'000},
    {"feet", kName, kLength, 3'048, 10'000},
    {"yd", kPlain, kLength, 9'144, 10'000},
    {"yard", kName, kLength, 9'144, 10'000},
    {"mi", kPlain, kLength, 1'609'344, 1'000},
    {"mile", kName, kLength, 1'609'344, 1'000},
    // Time; months and years have no fixed number of days.
    {"s", kSymbol | kPrefixed, kTime},
    {"sec", kName, kTime},
    {"second", kName | kPrefixed, kTime},
    {"min", kPlain, kTime, 60},
    {"mins", kPlain, kTime, 60},
    {"minute", kName, kTime, 60},
    {"h", kSymbol, kTime, 3'600},
    {"hr", kPlain, kTime, 3'600},
    {"hrs", kPlain, kTime, 3'600},
    {"hour", kName, kTime, 3'600},
    {"day", kName, kTime, 86'400},
    {"week", kName, kTime, 604'800},
    {"wk", kSymbol, kTime, 604'800},
    {"fortnight", kName, kTime, 1'209'600},
    {"month", kName, kMonths},
    {"mo", kSymbol, kMonths},
    {"year", kName, kMonths, 12},
    {"yr", kPlain, kMonths, 12},
    {"yrs", kPlain, kMonths, 12},
    {"decade", kName, kMonths, 120},
    {"century", kName, kMonths, 1'200},
    // Mass.
    {"g", kSymbol | kPrefixed, kMass},
    {"gram", kName | kPrefixed, kMass},
    {"gramme", kName | kPrefixed, kMass},
    {"kilo", kName, kMass, kThousand},
    {"t", kSymbol, kMass, kMillion},
    {"ton", kName, kMass, kMillion},
    {"tonne", kName, kMass, kMillion},
    {"lb", kPlain, kMass, 45'359'237, 100'000},
    {"lbs", kPlain, kMass, 45'359'237, 100'000},
    {"pound", kName, kMass, 45'359'237, 100'000},
    {"oz", kPlain, kMass, 45'359'237, 1'600'000},
    {"ounce", kName, kMass, 45'359'237, 1'600'000},
    // Area and volume.
    {"acre", kName, kArea, 40'468'564'224, 10'000'000},
    {"hectare", kName, kArea, 10'000},
    {"ha", kSymbol, kArea, 10'000},
    {"l", kSymbol | kPrefixed, kVolume, 1, kThousand},
    {"L", kSymbol | kPrefixed, kVolume, 1, kThousand},
    {"liter", kName | kPrefixed, kVolume, 1, kThousand},
    {"litre", kName | kPrefixed, kVolume, 1, kThousand},
    {"cc", kPlain, kVolume, 1, kMillion},
    {"gallon", kName, kVolume, 3'785'411'784, 1'000'000 * kMillion},
    {"gal", kSymbol, kVolume, 3'785'411'784, 1'000'000 * kMillion},
    {"quart", kName, kVolume, 3'785'411'784, 4'000'000 * kMillion},
    {"pint", kName, kVolume, 3'785'411'784, 8'000'000 * kMillion},
    {"cup", kName, kVolume, 3'785'411'784, 16'000'000 * kMillion},
    {"tablespoon", kName, kVolume, 3'785'411'784, 256'000'000 * kMillion},
    {"teaspoon", kName, kVolume, 3'785'411'784, 768'000'000 * kMillion},
    // Money.
    {"dollar", kName, kMoney},
    {"usd", kName, kMoney},
    {"cent", kName, kMoney, 1, 100},
    {"euro", kName, kCount, 1, 1, "euro"},
    {"eur", kName, kCount, 1, 1, "euro"},
    // Speed and frequency.
    {"mph", kPlain, kSpeed, 1'609'344, 3'600'000},
    {"kph", kPlain, kSpeed, 1'000, 3'600},
    {"kmh", kPlain, kSpeed, 1'000, 3'600},
    {"kmph", kPlain, kSpeed, 1'000, 3'600},
    {"mps", kSymbol, kSpeed},
    {"fps", kSymbol, kSpeed, 3'048, 10'000},
    {"knot", kName, kSpeed, 1'852, 3'600},
    {"Hz", kSymbol | kPlain | kPrefixed, kFrequency},
    {"hertz", kName | kPrefixed, kFrequency},
    // Mechanics; a gram as the base unit makes the factors thousands.
    {"N", kSymbol | kPrefixed, kForce, kThousand},
    {"newton", kName | kPrefixed, kForce, kThousand},
    {"J", kSymbol | kPrefixed, kEnergy, kThousand},
    {"joule", kName | kPrefixed, kEnergy, kThousand},
    {"cal", kSymbol | kPrefixed, kEnergy, 4'184},
    {"calorie", kName | kPrefixed, kEnergy, 4'184},
    {"Wh", kSymbol | kPlain | kPrefixed, kEnergy, 3'600 * kThousand},
    {"W", kSymbol | kPrefixed, kPower, kThousand},
    {"watt", kName | kPrefixed, kPower, kThousand},
    {"Pa", kSymbol | kPrefixed, kPressure, kThousand},
    {"pascal", kName | kPrefixed, kPressure, kThousand},
    {"bar", kName, kPressure, 100'000 * kThousand},
    {"atm", kPlain, kPressure, 101'325 * kThousand},
    {"atmosphere", kName, kPressure, 101'325 * kThousand},
    // Electricity.
    {"A", kSymbol | kPrefixed, kCurrent},
    {"amp", kName | kPrefixed, kCurrent},
    {"ampere", kName | kPrefixed, kCurrent},
    {"C", kSymbol | kPrefixed, kCharge},
    {"coulomb", kName | kPrefixed, kCharge},
    {"V", kSymbol | kPrefixed, kVoltage, kThousand},
    {"volt", kName | kPrefixed, kVoltage, kThousand},
    {"Omega", kSymbol | kPrefixed, kResistance, kThousand},
    {"ohm", kName | kPrefixed, kResistance, kThousand},
    {"F", kSymbol | kPrefixed, kCapacitance, 1, kThousand},
    {"farad", kName | kPrefixed, kCapacitance, 1, kThousand},
    {"T", kSymbol | kPrefixed, kField, kThousand},
    {"tesla", kName | kPrefixed, kField, kThousand},
    {"Wb", kSymbol | kPrefixed, kFlux, kThousand},
    {"weber", kName | kPrefixed, kFlux, kThousand},
    {"H", kSymbol | kPrefixed, kInductance, kThousand},
    {"henry", kName | kPrefixed, kInductance, kThousand},
    // Amounts and what has no dimension here.
    {"mol", kSymbol | kPlain | kPrefixed, kAmount},
    {"mole", kName | kPrefixed, kAmount},
    {"K", kSymbol | kPrefixed, kCount, 1, 1, "kelvin"},
    {"kelvin", kName, kCount, 1, 1, "kelvin"},
    {"eV", kSymbol | kPrefixed, kCount, 1, 1, "electronvolt"},
    {"electronvolt", kName | kPrefixed, kCount, 1, 1, "electronvolt"},
    {"rad", kSymbol, kCount, 1, 1, "radian"},
    {"radian", kName, kCount, 1, 1, "radian"},
    {"rpm", kPlain, kCount, 1, 1, "rpm"},
    {"bit", kName | kPrefixed, kCount, 1, 1, "bit"},
    {"byte", kName | kPrefixed, kCount, 8, 1, "bit"},
    {"kB", kSymbol, kCount, 8 * kThousand, 1, "bit"},
    {"KB", kSymbol, kCount, 8 * kThousand, 1, "bit"},
    {"MB", kSymbol, kCount, 8 * kMillion, 1, "bit"},
    {"GB", kSymbol, kCount, 8 * kThousand* kMillion, 1, "bit"},
};

struct Prefix {
  std::string_view symbol;
  std::string_view name;
  uint64_t numerator;
  uint64_t denominator;
};

constexpr Prefix kPrefixes[] = {
    {"k", "kilo", kThousand, 1},
    {"c", "centi", 1, 100},
    {"m", "milli", 1, kThousand},
    {"d", "deci", 1, 10},
    {"h", "hecto", 100, 1},
    {"M", "mega", kMillion, 1},
    {"G", "giga", kThousand* kMillion, 1},
    {"T", "tera", kMillion* kMillion, 1},
    {"u", "micro", 1, kMillion},
    {"n", "nano", 1, kThousand* kMillion},
    {"p", "pico", 1, kMillion* kMillion},
};

// With a prefix, what nobody takes for a product of variables.
constexpr std::string_view kPlainWithPrefix[] = {
    "mm", "cm", "dm", "km",  "kg",  "mg",  "ms",  "ml",  "mL",  "cl",  "cL",  "kN",
    "kJ", "kW", "kV", "kHz", "MHz", "GHz", "kPa", "MPa", "hPa", "kWh", "kcal"};

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

struct Found {
  const Entry* entry = nullptr;
  const Prefix* prefix = nullptr;
};

// The entry of that name which has one of these readings.
const Entry* entry_named(std::string_view name, uint8_t readings) {
  static const auto table = [] {
    std::unordered_map<std::string_view, const Entry*> entries;
    for (const Entry& entry : kUnits) entries.emplace(entry.name, &entry);
    return entries;
  }();
  const auto found = table.find(name);
  return found != table.end() && (found->second->reading & readings) != 0 ? found->second : nullptr;
}

// A symbol as it is written, or a name in lower case and in the singular.
Found find_entry(std::string_view written) {
  const std::string lower = lowered(written);
  const std::string one = singular(lower);
  constexpr uint8_t kWritten = kSymbol | kPlain;
  for (const auto& [name, reading] :
       {std::pair<std::string_view, uint8_t>{written, kWritten}, {lower, kName}, {one, kName}}) {
    if (const Entry* entry = entry_named(name, reading)) return {entry, nullptr};
  }
  for (const Prefix& prefix : kPrefixes) {
    for (const auto& [name, begin, reading] :
         {std::tuple<std::string_view, std::string_view, uint8_t>{written, prefix.symbol, kSymbol},
          {one, prefix.name, kName}}) {
      if (!name.starts_with(begin)) continue;
      const Entry* entry = entry_named(name.substr(begin.size()), reading);
      if (entry != nullptr && (entry->reading & kPrefixed) != 0) return {entry, &prefix};
    }
  }
  // KM and Cm: nobody means anything else.
  if (written != lower && written.size() > 1) {
    const Found plain = find_entry(lower);
    if (plain.entry != nullptr && is_plain_unit(lower)) return plain;
  }
  return {};
}

// A word with "per" before it belongs to the rate: boxes are no pieces per box.
bool ends_in_words(std::string_view whole, std::string_view end) {
  if (whole.size() <= end.size() || !whole.ends_with(end) || end.empty()) return false;
  const std::string_view before = whole.substr(0, whole.size() - end.size());
  return before.ends_with(' ') && !before.ends_with("per ") && !end.starts_with("per ");
}

}  // namespace

bool Unit::is_commensurable(const Unit& other) const {
  if (powers != other.powers) return false;
  return noun == other.noun || ends_in_words(noun, other.noun) || ends_in_words(other.noun, noun);
}

std::string singular(std::string_view word) {
  if (word == "people") return "person";
  if (word.size() > 3 && word.ends_with("ies")) {
    return std::string(word.substr(0, word.size() - 3)) + "y";
  }
  if (word.size() > 3 && word.ends_with('s') && !word.ends_with("ss")) word.remove_suffix(1);
  return std::string(word);
}

std::optional<Unit> find_unit(std::string_view word) {
  const Found found = find_entry(word);
  if (found.entry == nullptr) return {};
  const Entry& entry = *found.entry;
  Unit unit{entry.powers, entry.numerator, entry.denominator, std::string(entry.noun)};
  if (found.prefix == nullptr) return unit;
  const auto up = product(unit.factor_numerator, found.prefix->numerator);
  const auto down = product(unit.factor_denominator, found.prefix->denominator);
  if (!up || !down) return {};
  unit.factor_numerator = *up;
  unit.factor_denominator = *down;
  return unit;
}

bool is_plain_unit(std::string_view word) {
  const std::string lower = lowered(word);
  const std::string one = singular(lower);
  if (entry_named(word, kPlain) || entry_named(lower, kPlain)) return true;
  if (entry_named(lower, kName) || entry_named(one, kName)) return true;
  const auto is_listed = [&](std::string_view name) {
    return std::find(std::begin(kPlainWithPrefix), std::end(kPlainWithPrefix), name) !=
           std::end(kPlainWithPrefix);
  };
  if (is_listed(word) || is_listed(lower)) return true;
  constexpr size_t kNameBytesMin = 6;  // Longer than any symbol.
  return word.size() >= kNameBytesMin && find_unit(lower).has_value();
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

bool is_never_unit(std::string_view word) {
  return std::any_of(std::begin(kNeverUnits), std::end(kNeverUnits), [&](std::string_view never) {
    return never == word || never == singular(word);
  });
}

}  // namespace troupe::actors

// Units of measurement after a number: which of them are commensurable, and their exact factors.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

// Of length, time, mass, money, electric current, months and amount of substance: {1, -1} is a
// speed.
using Powers = std::array<int8_t, 7>;

struct Unit {
  Powers powers{};
  // Of the base unit (metre, second, gram, dollar, ampere, month, mole).
  uint64_t factor_numerator = 1;
  uint64_t factor_denominator = 1;
  // Words that are no known unit ("apple"), singular, sorted as written.
  std::string noun{};

  bool operator==(const Unit& other) const = default;
  // "Different ways" are ways: more words about one noun make it no other one.
  bool is_commensurable(const Unit& other) const;
};

// A unit's name in any number ("hour", "hours") or its symbol ("h", "kWh"), which is as it is
// written; nothing for an unknown word.
std::optional<Unit> find_unit(std::string_view word);

// unit * other^power; nothing when the factors leave their range.
std::optional<Unit> times_power(const Unit& unit, const Unit& other, int power);

// Whether a word behind a number is a unit without \text around it: "5 cm" is, "5 nm" may be a
// product.
bool is_plain_unit(std::string_view word);

// Words that say something about a value instead of being what is counted ("5 or maybe 6").
bool is_never_unit(std::string_view word);

// "apples" and "apple" are one noun.
std::string singular(std::string_view word);

}  // namespace troupe::actors

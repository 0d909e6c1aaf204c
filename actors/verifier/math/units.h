// Units of measurement after a number: which of them are commensurable, and their exact factors.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

enum class Dimension : uint8_t { kLength, kTime, kMass, kMoney, kCount };

struct Unit {
  // Powers of the dimensions, e.g. {1, -1} for a speed.
  std::array<int8_t, static_cast<size_t>(Dimension::kCount)> powers{};
  // Of the base unit (metre, second, gram, dollar).
  uint64_t factor_numerator = 1;
  uint64_t factor_denominator = 1;
  // Words that are no known unit ("apple"), singular, sorted as written.
  std::string noun{};

  bool operator==(const Unit& other) const = default;
  bool is_commensurable(const Unit& other) const {
    return powers == other.powers && noun == other.noun;
  }
};

// A unit's name in any number ("hour", "hours", "h"); nothing for an unknown word.
std::optional<Unit> find_unit(std::string_view word);

// unit * other^power; nothing when the factors leave their range.
std::optional<Unit> times_power(const Unit& unit, const Unit& other, int power);

// Newton, joule and the like: units whose symbol is one upright capital.
bool is_unit_symbol(std::string_view letter);

// Words that say something about a value instead of being what is counted ("5 or maybe 6").
bool is_never_unit(std::string_view word);

// "apples" and "apple" are one noun.
std::string singular(std::string_view word);

}  // namespace troupe::actors

// The words after a number that say what is counted or measured: "cm^2", "km per hour", "apples".
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "actors/verifier/math/tokens.h"
#include "actors/verifier/math/units.h"

namespace troupe::actors {

struct ParsedUnit {
  Unit unit{};
  size_t end = 0;  // The token after it.
};

// Nothing when the words from `begin` on are no unit. They stand below another one if `is_below`:
// "hour" in dollars per hour.
std::optional<ParsedUnit> parse_unit(const std::vector<Token>& tokens, size_t begin,
                                     bool is_below = false);

// Whether a unit with the prefix \mu begins at `at`.
bool is_micro(const std::vector<Token>& tokens, size_t at);

// \frac{\text{km}}{\text{h}}, whose \frac is at begin.
std::optional<ParsedUnit> parse_unit_fraction(const std::vector<Token>& tokens, size_t begin);

}  // namespace troupe::actors

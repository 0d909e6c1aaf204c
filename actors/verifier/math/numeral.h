// Numbers as people write them: 1,234.5, 1.5e-30, 0.1\overline{6}, 0.333..., 7th.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

struct Numeral {
  std::string text{};     // As in a number token.
  size_t length = 0;      // In bytes of what was read.
  bool has_stop = false;  // A full stop between it and a letter was read, too.
};

struct NumeralPlace {
  bool is_in_list = false;  // A comma separates values there.
  bool is_first = false;    // Nothing stands before it.
};

// The number at the beginning of a text that begins with a digit, or a point and a digit.
Numeral read_numeral(std::string_view text, TokenOptions options, NumeralPlace place);

// The length of the "th" of 7th at the beginning of what follows the digits, also raised; 0 for
// anything else, as for the "th" of 1th.
size_t ordinal_suffix(std::string_view digits, std::string_view after);

}  // namespace troupe::actors

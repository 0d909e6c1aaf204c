// Single characters: which they are, and their other case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::model {

// The first character; negative where it is no UTF-8. `size` are its bytes.
int32_t first_point(std::string_view text, size_t& size);

// Whether a text that Python would print as it is within quotes.
bool is_printable(int32_t point);

// A letter's other case. `is_known` becomes false for the few letters whose other case depends on
// their place or is several letters.
int32_t to_upper(int32_t point, bool& is_known);
int32_t to_lower(int32_t point, bool& is_known);
bool is_letter(int32_t point);

std::string utf8(int32_t point);

}  // namespace troupe::model

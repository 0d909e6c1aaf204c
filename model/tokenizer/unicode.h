// What tokenizers need to know of Unicode: which bytes are UTF-8, white space, normal forms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::model {

// How many of the first bytes are valid UTF-8.
size_t valid_utf8_prefix(std::string_view text);

// How many bytes the first character has; 1 where it is no valid UTF-8.
size_t character_bytes(std::string_view text);

// Normal form C of what is valid UTF-8; other bytes stay as they are.
std::string to_nfc(std::string_view text);

// Where the white space at the end begins, and where that at the beginning ends.
size_t trailing_white_space(std::string_view text);
size_t leading_white_space(std::string_view text);

// Whether the text ends with, or begins with, a letter, mark, decimal digit or connector.
bool ends_with_word(std::string_view text);
bool begins_with_word(std::string_view text);

}  // namespace troupe::model

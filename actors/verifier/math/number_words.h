// Whole numbers in words: "seven", "forty-two", "one hundred and five".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::actors {

// The words are in lower case, with spaces or hyphens between them. Nothing for other words.
std::optional<int64_t> number_in_words(std::string_view words);

}  // namespace troupe::actors

// What tests ask of a text.
#pragma once

#include <string_view>

namespace troupe::tests {

// How often a part is in it, not counting those that overlap.
inline size_t count_of(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; ++count) {
    at = text.find(part, at + part.size());
  }
  return count;
}

}  // namespace troupe::tests

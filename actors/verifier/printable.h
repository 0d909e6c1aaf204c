// Texts of others inside messages for people.
#pragma once

#include <string>
#include <string_view>

namespace troupe::actors {

// The beginning of a text, safe to show on a terminal: one line of well-formed UTF-8, at most
// `bytes_max` long and then "...".
std::string printable(std::string_view text, size_t bytes_max);

}  // namespace troupe::actors

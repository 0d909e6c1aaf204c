// For error messages about names: the known names, the likeliest intended one first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace troupe {

// By edit distance to `name`; ties keep the given order.
std::vector<std::string> nearest_first(std::string_view name, std::vector<std::string> known);

// The same as one text: "plain, chatml, r1-zero".
std::string nearest_first_list(std::string_view name, std::vector<std::string> known);

}  // namespace troupe

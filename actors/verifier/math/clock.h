// Times of day: "3:30 PM", "15:30", "noon".
#pragma once

#include <optional>
#include <string_view>

namespace troupe::actors {

// Whether two answers are the same time of day. Nothing unless both are times and at least one says
// which half of the day it means: 3:30 alone may be a ratio, and either half.
std::optional<bool> is_same_clock_time(std::string_view a, std::string_view b);

}  // namespace troupe::actors

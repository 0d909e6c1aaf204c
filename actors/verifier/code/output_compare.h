// Whether what a program printed is what was expected, as programming contests compare it.
#pragma once

#include <string>
#include <string_view>

namespace troupe::actors {

// Line by line, blank lines aside, and within a line word by word. Words are equal as text or as
// decimal numbers of the same value (but 00101 is only 00101); where the expected one has a
// fraction or an exponent, a number within 1e-6 (absolute or relative) is right too. Empty: equal;
// otherwise where they differ.
std::string difference(std::string_view output, std::string_view expected);

}  // namespace troupe::actors

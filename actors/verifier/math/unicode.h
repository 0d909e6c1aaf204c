// Characters and words of other scripts that have a LaTeX spelling: what is read afterwards is
// ASCII.
#pragma once

#include <string>
#include <string_view>

namespace troupe::actors {

// The same text in ASCII where a character or a Chinese word has a LaTeX spelling. What cannot be
// seen is left out, control characters are spaces, everything else stays as it is.
std::string with_ascii(std::string_view text);

}  // namespace troupe::actors

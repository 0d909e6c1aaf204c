// What a sentence or Markdown puts around an answer.
#pragma once

#include <string_view>

namespace troupe::actors {

// Without spaces, stars and other marks around all of it, and the full stop of the sentence.
std::string_view without_end_marks(std::string_view text);

}  // namespace troupe::actors

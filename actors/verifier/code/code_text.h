// Finding the program in a response.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

// Only text after the last </think> counts; with <answer> tags there must be exactly one pair, and
// only what is inside counts. There it is the last closed ``` block whose label is one of the
// language's names, or else the last one without a label; or, without any block, all of the text
// between the <answer> tags. A block that is not closed is cut off and does not count.
struct ExtractedCode {
  std::optional<std::string> code{};
  std::string reason{};  // Why there is none.
};
ExtractedCode extract_code(std::string_view response, std::string_view language);

}  // namespace troupe::actors

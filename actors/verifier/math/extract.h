// Finding the final answer in a response: one pass over the text without recursion, because the
// text is the policy's and may be hostile.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

// Boxes that words join, as in "y = \boxed{1} for (a) and z = \boxed{2}": each with its name.
struct JoinedBoxes {
  std::string text{};
  bool is_named = false;  // Each of them. Otherwise words may say what each is.
  std::string words{};    // The letters between the boxes.
};

struct ExtractedAnswer {
  std::optional<std::string> text{};
  std::string reason{};  // Why there is none.
  std::optional<JoinedBoxes>
      joined{};  // Where there are more than in `text` and the gold is a list.
  // Where nothing says that anything is the answer: the text that counts. Lives as long as the
  // response.
  std::string_view unmarked{};
};

// Only text after the last </think> counts. With <answer> tags there must be exactly one pair, and
// only what is inside counts. There, the box (\boxed or \fbox) that closes last is the answer;
// without any box it is what the last mark says ("Answer:", "####" and the like: see
// marked_answer.h), or else all of the text between the <answer> tags. Never "the last number".
// Boxes with nothing but commas, "or" and "and" between them are one answer in parts: merged if
// `is_list` (the gold is one), otherwise no single answer.
ExtractedAnswer extract_answer(std::string_view response, bool is_list);

struct BoxedPart {
  std::string text{};
  std::string words{};  // Say what each of several boxes is: "1 pen and 2 books".
};

// What is boxed in a text that may be a whole solution, several boxes side by side as a list;
// nothing when no box closes.
std::optional<BoxedPart> boxed_part(std::string_view text);

}  // namespace troupe::actors

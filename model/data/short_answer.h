// Where a reference text says its answer: GSM8K's mark, the box of a worked solution.
#pragma once

#include <string>
#include <string_view>

namespace troupe::model {

inline constexpr std::string_view kAfterMark = "after ####";
inline constexpr std::string_view kInBox = "in \\boxed{}";

struct ShortAnswer {
  std::string text{};      // Empty: a worked solution that does not say where its answer is.
  std::string_view how{};  // kAfterMark, kInBox; empty: the text as it is.
};

// What stands behind the last ####, without thousands commas, unless that is a heading with text
// under it; of a worked solution (is_prose) the content of its last \boxed{}; else the text itself,
// trimmed.
ShortAnswer short_answer(std::string_view text);

// Several lines, or a sentence: more than an answer that could be compared with another.
bool is_prose(std::string_view text);

// The content where all of the text is one box, perhaps between dollars; else the text.
std::string unboxed(std::string_view text);

}  // namespace troupe::model

// The final answer of a text that says in words where it is: "Answer: 5", "**Final Answer**" with
// the value below it, "#### 5", "答案是 5". One pass for the marks, and bounded work on what
// follows the last of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

// What the last mark says, without the Markdown, words and remarks around the value; empty where
// nothing follows it, or only a denial ("not 5") or a placeholder ("$ANSWER"). Nothing where there
// is no mark. "the answer is 5" is none: it needs a colon, a heading, or a choice in parentheses.
// Values on several lines below a mark are one list.
std::optional<std::string> marked_answer(std::string_view text);

// The value in a short text that is an answer: "The answer is **42** (forty-two)." is 42. Words
// that say more than one value, or what the value is not, stay: nothing is guessed.
std::string plain_answer(std::string_view text);

}  // namespace troupe::actors

// The words and signs that people put around an answer, taken off one kind at a time. Each function
// returns the text without them, or the same text.
#pragma once

#include <string_view>

namespace troupe::actors {

// List marks, "#" of headings, emphasis (**5**, _5_, `5`), quotation marks. "- 5" is a number.
std::string_view without_markdown(std::string_view text);

// A full stop, also the Chinese one, but not the dots of 0.33...
std::string_view without_full_stop(std::string_view text);

// "So the final answer is:", "Therefore,", "Option" in front of a letter, "选".
std::string_view without_lead_in(std::string_view text);

// "is correct", "is the answer".
std::string_view without_verdict(std::string_view text);

// Sentences behind the one with the value, where they cannot hold another value.
std::string_view without_later_sentences(std::string_view text);

// "(forty-two)", "(since 6*7=42)", "because ...".
std::string_view without_reason(std::string_view text);

// "or", "but", "otherwise": a reason with such a word goes on to another answer and is none. In
// lower case.
bool is_turn(std::string_view word);

// "not 5".
bool is_denial(std::string_view text);

// "$ANSWER", "[your answer]", "...".
bool is_placeholder(std::string_view text);

}  // namespace troupe::actors

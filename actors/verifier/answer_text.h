// Finding the final answer in a response and stripping it of its typography. Everything here is one
// pass over the text without recursion, because the text is the policy's and may be hostile.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

struct ExtractedAnswer {
  std::optional<std::string> text{};
  std::string reason{};  // Why there is none.
};

// Only text after the last </think> counts. With <answer> tags there must be exactly one pair, and
// only what is inside counts. There, the box (\boxed or \fbox) that closes last is the answer;
// without any box it is what follows the last "Answer:" or "####" on its line, or else all of the
// text between the <answer> tags. Never "the last number".
// Boxes with nothing but commas, "or" and "and" between them are one answer in parts: merged if
// `is_list` (the gold is one), otherwise no single answer.
ExtractedAnswer extract_answer(std::string_view response, bool is_list);

// The content of the box that closes last, if any closes.
std::optional<std::string_view> last_box(std::string_view text);

// Stands in plain_answer's result where upright text (\text, \mathrm, ...) begins, and before a
// degree sign's "degrees".
constexpr char kUprightMark = '\x01';

// The same answer without typography: math delimiters, currency signs, spacing commands, \left and
// \right, text wrappers, a final full stop, markdown's ** and one pair of outer brackets around a
// single item are gone; \dfrac is \frac, {,} is a comma, Unicode minus signs and full-width
// characters are ASCII.
std::string plain_answer(std::string_view text);

// For comparing answers that are not numbers: spaces (except between digits), upright marks and
// braces around one character do not count.
std::string comparison_key(std::string_view plain);

// Equal keys, or words that differ in case only. A single letter keeps its case: x is not X.
bool is_same_text(std::string_view plain_a, std::string_view plain_b);

}  // namespace troupe::actors

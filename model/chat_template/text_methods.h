// The methods of Python's str that chat templates use.
#pragma once

#include <string_view>

#include "model/chat_template/run.h"

namespace troupe::model::chat_template {

// Whether Python has it; whether it is here too is another question, which calling it answers.
bool is_text_method(std::string_view name);

Value call_text_method(Run& run, const Text& text, const std::string& name,
                       const Arguments& arguments);

// Also for filters. An error for the few letters whose other case is not one letter.
enum class Case : uint8_t { kUpper, kLower, kCapitalised, kTitle };
Text in_case(Run& run, int line, const Text& text, Case to);

// Every `from` as `to`, `max` times where that is not negative.
Value replaced(Run& run, int line, const Text& text, const Text& from, const Text& to, int64_t max);

std::vector<Text> lines_of(const Text& text);

}  // namespace troupe::model::chat_template

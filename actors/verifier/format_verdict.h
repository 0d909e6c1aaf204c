// The form of DeepSeek-R1's responses: <think>...</think><answer>...</answer>.
#pragma once

#include <string_view>

#include "schemas/verdict.h"

namespace troupe::actors {

// Well-formed: exactly one <think>...</think>, then exactly one <answer>...</answer>, and nothing
// but white space outside of them. The thoughts may be empty.
VerdictPart verify_r1_format(std::string_view response);

// True when there is something other than white space between <think> and </think>.
bool has_thinking(std::string_view response);

}  // namespace troupe::actors

// Is the answer of a response mathematically the reference answer? A function of the two texts
// alone, with bounded work whatever they contain.
#pragma once

#include <cstddef>
#include <string_view>

#include "schemas/verdict.h"

namespace troupe::actors {

// Longer answers are undecided, longer gold answers unparseable.
constexpr size_t kAnswerBytesMax = 4096;

// Extracts the final answer (see extract_answer) and compares it.
VerdictPart verify_math(std::string_view response, std::string_view gold);

// Compares an answer that was extracted already. Numbers are compared exactly and end equal or
// different; x = 3 counts as 3 (never y = 3), and a number without a unit as one with the gold's.
// Anything else is equal when the texts are, up to typography, and otherwise undecided: it is paid
// nothing, and nobody claims that it is wrong.
VerdictPart verify_math_answer(std::string_view candidate, std::string_view gold);

}  // namespace troupe::actors

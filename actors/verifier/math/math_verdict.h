// Is the answer of a response mathematically the reference answer? A function of the two texts
// alone, with bounded work whatever they contain: the answer is parsed by a closed grammar and
// never evaluated by an interpreter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/verdict.h"

namespace troupe::actors {

// Longer answers are undecided, longer gold answers unparseable.
constexpr size_t kAnswerBytesMax = 4096;

struct MathVerdict {
  // kEqual, kDifferent, kUndecided, kNoAnswer or kGoldUnparseable.
  VerdictKind kind = VerdictKind::kNoAnswer;
  std::string extracted{};  // The answer as it was written, at most kAnswerBytesMax bytes of it.
  std::string reason{};     // One printable sentence.
  uint64_t fuel_spent = 0;  // Of Fuel::kVerdictUnits.
};

// Extracts the final answer (see extract_answer) and compares it.
MathVerdict verify_math(std::string_view response, std::string_view gold);

// Compares an answer that was extracted already.
MathVerdict verify_math_answer(std::string_view candidate, std::string_view gold);

// Whether a gold answer can be compared with at all (see read_gold).
bool is_readable_gold(std::string_view gold);

}  // namespace troupe::actors

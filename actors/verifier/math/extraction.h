// Which part of a response is its answer, where a job has chosen.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actors/verifier/math/math_verdict.h"

namespace troupe::actors {

enum class Extraction : uint8_t {
  kMarked,      // What the response itself says is the answer: extract.h.
  kLastNumber,  // The same; and where it says nothing, the last number of its text.
};

// "marked" and "last_number"; nothing for another name.
std::optional<Extraction> extraction_of(std::string_view name);

// The last number in a text as it is written: "-5", "1,234.5", "3/4", "\frac{1}{2}", "50%".
std::optional<std::string_view> last_number(std::string_view text);

MathVerdict verify_math(std::string_view response, std::string_view gold, Extraction extraction);

}  // namespace troupe::actors

// What a verifier's program is asked and what it answers: one line of JSON each.
//
//   {"id":1,"prompt":"...","response":"...","gold":"..."}
//   {"id":1,"score":0.5,"reason":"half of it is right"}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "actors/verifier/verifier.h"
#include "schemas/result.h"

namespace troupe::actors {

constexpr size_t kAnswerLineBytesMax = 64 << 10;

// With the line break. Bytes that are no UTF-8 become U+FFFD: JSON cannot say them.
std::string question_line(uint64_t id, const ResponseToJudge& response);

// The verdict on the response that was asked with `id`. kInternal, saying why, for what is no such
// answer: not one shallow JSON object, another id, no score, a score outside [0, 1]. `reason` may
// be missing; it is cut and made printable.
Result<VerdictPart> read_answer_line(std::string_view line, uint64_t id);

}  // namespace troupe::actors

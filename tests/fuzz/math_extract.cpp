#include <string_view>

#include "actors/verifier/math/extract.h"
#include "actors/verifier/math/extraction.h"
#include "actors/verifier/math/marked_answer.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::math_extract {

void fuzz_one(const uint8_t* data, size_t size) {
  const std::string_view response(reinterpret_cast<const char*>(data), size);
  for (bool is_list : {false, true}) {
    const actors::ExtractedAnswer answer = actors::extract_answer(response, is_list);
    // Either an answer out of the response, or a reason why there is none.
    TROUPE_CHECK(answer.text.has_value() == answer.reason.empty());
    TROUPE_CHECK(answer.unmarked.size() <= response.size());
    TROUPE_CHECK(!answer.text || answer.unmarked.empty());
    if (!answer.text) continue;
    TROUPE_CHECK(!answer.text->empty());
    TROUPE_CHECK(answer.text->size() <= response.size());
    TROUPE_CHECK(!answer.joined || answer.joined->text.size() <= response.size());
  }
  const auto marked = actors::marked_answer(response);
  TROUPE_CHECK(!marked || marked->size() <= response.size());
  const std::string plain = actors::plain_answer(response);
  TROUPE_CHECK(plain.size() <= response.size());
  const auto number = actors::last_number(response);
  TROUPE_CHECK(!number || number->size() <= response.size());
  const auto boxed = actors::boxed_part(response);
  TROUPE_CHECK(!boxed || boxed->text.size() <= response.size());
}

}  // namespace troupe::fuzz::math_extract

TROUPE_FUZZ_TARGET(math_extract)

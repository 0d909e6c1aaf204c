#include <string>
#include <string_view>

#include "actors/verifier/code/code_text.h"
#include "actors/verifier/code/output_compare.h"
#include "actors/verifier/code/result_frame.h"
#include "actors/verifier/code/value.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::code_results {

void fuzz_one(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string_view rest = bytes;
  while (const auto frame = actors::next_result_frame(rest, "secret")) {
    TROUPE_CHECK(rest.size() < bytes.size());
    TROUPE_CHECK(frame->payload.size() < bytes.size());
  }
  if (const auto report = actors::read_tester_report(bytes, "secret")) {
    TROUPE_CHECK(report->passed >= 0);
  }
  // What can be read can be written, and reads the same again.
  if (const auto value = actors::decode(bytes)) {
    const std::string once = actors::encode(*value);
    const auto again = actors::decode(once);
    TROUPE_CHECK(again && actors::encode(*again) == once);
  }
  if (const auto value = actors::value_from_json(bytes)) {
    TROUPE_CHECK(actors::decode(actors::encode(*value)).has_value());
  }
  for (const char* language : {"python", "cpp"}) {
    for (const bool is_whole : {true, false}) {
      const actors::ExtractedCode code = actors::extract_code(
          bytes, {.language = language, .is_whole = is_whole, .names = {"Solution", "f"}});
      TROUPE_CHECK(code.code.has_value() == code.reason.empty());
      // One program, and nothing that the response does not have.
      TROUPE_CHECK(!code.code || code.code->size() <= size);
    }
  }
  const size_t half = size / 2;
  for (const char c : actors::difference(bytes.substr(0, half), bytes.substr(half))) {
    TROUPE_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  }
  TROUPE_CHECK(actors::difference(bytes, bytes).empty());
}

}  // namespace troupe::fuzz::code_results

TROUPE_FUZZ_TARGET(code_results)

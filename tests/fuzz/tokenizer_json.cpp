#include <string>
#include <string_view>

#include "model/tokenizer/tokenizer.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::tokenizer_json {

void fuzz_one(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = model::Tokenizer::parse(bytes, "tokenizer.json");
  if (!tokenizer) {
    TROUPE_CHECK(tokenizer.error().code == ErrorCode::kInvalidArgument);
    TROUPE_CHECK(tokenizer.error().message.find('\n') == std::string::npos);
    return;
  }
  // The file is also a text: of code, of several scripts, and maybe of no valid UTF-8.
  const model::TextPart parts[] = {
      {"It's 1234 <|im_start|>\n\n  \xE4\xBD\xA0\xE5\xA5\xBD\xFF e\xCC\x81 \xF0\x9F\x98\x80</s>",
       true},
      {bytes.substr(size - std::min<size_t>(size, 300))}};
  const auto ids = tokenizer->encode(parts);
  if (!ids) return;
  for (int32_t id : *ids) TROUPE_CHECK(tokenizer->is_valid(id));
  const auto shown = tokenizer->decode(*ids, model::Tokenizer::Special::kShown);
  TROUPE_CHECK(shown.size() >= tokenizer->decode(*ids).size());
  for (int32_t id = -1; id < 300; ++id) {
    TROUPE_CHECK(tokenizer->is_valid(id) ||
                 tokenizer->decode(std::span(&id, 1), model::Tokenizer::Special::kShown).empty());
  }
}

}  // namespace troupe::fuzz::tokenizer_json

TROUPE_FUZZ_TARGET(tokenizer_json)

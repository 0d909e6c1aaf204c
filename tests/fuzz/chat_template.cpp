#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "model/chat_template/chat_template.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::chat_template {
namespace {

void check_error(const Error& error) {
  TROUPE_CHECK(error.code == ErrorCode::kInvalidArgument);
  TROUPE_CHECK(error.message.starts_with("chat_template:"));
  TROUPE_CHECK(error.message.find('\n') == std::string::npos);
}

}  // namespace

void fuzz_one(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = model::ChatTemplate::parse(source);
  if (!parsed) return check_error(parsed.error());
  // A byte that no template can write by itself.
  const std::string content = "\x01 \xE4\xBD\xA0 <think>\x01</think>\n {\"a\": 1}";
  const nlohmann::ordered_json variables = {
      {"messages",
       {{{"role", "system"}, {"content", content}},
        {{"role", "user"}, {"content", content}},
        {{"role", "assistant"},
         {"content", content},
         {"tool_calls",
          {{{"function", {{"name", "f"}, {"arguments", {{"x", 1}, {"y", nullptr}}}}}}}}},
        {{"role", "user"}, {"content", content}}}},
      {"tools", nullptr},
      {"bos_token", "<s>"},
      {"add_generation_prompt", true}};
  const auto text = parsed->render(variables);
  if (!text) return check_error(text.error());
  const bool can_write_it = source.find('\x01') != source.npos || source.find('\\') != source.npos;
  for (size_t at = 0; at < text->size(); ++at) {
    TROUPE_CHECK(text->bytes()[at] != '\x01' || can_write_it || text->is_foreign(at));
  }
}

}  // namespace troupe::fuzz::chat_template

TROUPE_FUZZ_TARGET(chat_template)

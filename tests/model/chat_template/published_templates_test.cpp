// Published chat templates, as the packages of PyPI that are named in the golden file have them,
// against what transformers 5.24 writes for the same conversations (strftime_now taken away, as
// this program has no clock). The golden file has the first 16 digits of each text's SHA-256, and
// nothing for a conversation that the template or transformers refuses.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "model/chat_template/chat_template.h"
#include "model/data/chat_format.h"
#include "model/data/prompt_template.h"
#include "schemas/hash.h"

namespace troupe::model {
namespace {

using Json = nlohmann::ordered_json;

Json golden(const std::string& name) {
  std::ifstream file(TROUPE_SOURCE_DIR "/tests/model/golden/chat_templates/" + name + ".json");
  REQUIRE(file);
  return Json::parse(file);
}

Json variables_of(const Json& conversation, const Json& special_tokens) {
  Json variables = {{"tools", nullptr}, {"documents", nullptr}, {"add_generation_prompt", true}};
  variables.update(special_tokens);
  variables.update(conversation);
  return variables;
}

TEST_CASE("published chat templates: 48 write what transformers writes, or refuse where it does") {
  const Json conversations = golden("conversations");
  const Json templates = golden("published");
  REQUIRE(templates.size() == 48);
  size_t num_same = 0;
  size_t num_refused = 0;
  for (const Json& one : templates) {
    CAPTURE(one["name"]);
    const auto parsed = ChatTemplate::parse(one["template"].get<std::string>());
    REQUIRE(parsed);
    for (const auto& [name, conversation] : conversations["conversations"].items()) {
      CAPTURE(name);
      const auto text = parsed->render(variables_of(conversation, conversations["special_tokens"]));
      const auto wanted = one["renders"][name].get<std::string>();
      if (wanted.empty()) {
        REQUIRE_FALSE(text);
        CHECK(text.error().message.starts_with("chat_template:"));
        ++num_refused;
        continue;
      }
      if (!text) FAIL(text.error().message);
      CHECK(sha256_hex(std::as_bytes(std::span(text->bytes()))).starts_with(wanted));
      ++num_same;
    }
  }
  CHECK(num_same == 518);
  CHECK(num_refused == 58);
}

TEST_CASE("published chat templates: the tables of chat_format.h write what their templates do") {
  const Json templates = golden("published");
  const std::vector<Prompt> prompts = {
      {{"user", "What is 7 * 4?"}},
      {{"system", "  Be brief.\n"}, {"user", " Two lines,\n\nand spaces. "}},
      {{"user", "1?"}, {"assistant", "<think>\nHm.\n</think>\n\nIt is 2."}, {"user", "3?"}},
      {{"user", "1?"}, {"assistant", " two "}, {"user", "3?"}, {"assistant", "4"}, {"user", "5"}}};
  std::map<std::string_view, int> num_compared;
  for (const Json& one : templates) {
    const auto source = one["template"].get<std::string>();
    const auto digest = sha256_hex(std::as_bytes(std::span(source)));
    for (const ChatFormat& format : chat_formats()) {
      const auto& known = format.sha256;
      if (std::find(known.begin(), known.end(), digest) == known.end()) continue;
      CAPTURE(one["name"]);
      const auto parsed = ChatTemplate::parse(source);
      REQUIRE(parsed);
      for (const Prompt& prompt : prompts) {
        if (prompt.front().role == "system" && format.system.open.empty() &&
            format.name != "deepseek-r1") {
          continue;
        }
        Json variables = {{"messages", Json::array()},
                          {"tools", nullptr},
                          {"add_generation_prompt", true},
                          {"bos_token", format.begin},
                          {"eos_token", format.turn_end}};
        for (const Message& message : prompt) {
          variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
        }
        const auto text = parsed->render(variables);
        REQUIRE(text);
        // Nothing of these texts is a token of the byte tokenizer but the marks of thinking.
        const auto ids = PromptTemplate::by_name(format.name)->render(prompt, Tokenizer());
        REQUIRE(ids);
        CHECK(Tokenizer().decode(*ids) == text->bytes());
        ++num_compared[format.name];
      }
    }
  }
  for (const char* name : {"chatml", "qwen2.5", "qwen3", "llama3", "llama3.1", "deepseek-r1"}) {
    CAPTURE(name);
    CHECK(num_compared[name] >= 4);
  }
}

TEST_CASE("chat template: 601 expressions and tags mean what they mean in Jinja2") {
  const Json expressions = golden("expressions");
  REQUIRE(expressions["same"].size() == 601);
  // What Jinja2 has and no published template needs; refused, and never written in another way.
  size_t num_left_out = 0;
  for (const Json& one : expressions["same"]) {
    CAPTURE(one[0]);
    const auto parsed = ChatTemplate::parse(one[0].get<std::string>());
    const auto text = parsed ? parsed->render(expressions["variables"])
                             : Result<chat_template::Text>(parsed.error());
    if (!text) {
      CHECK(text.error().message.starts_with("chat_template:"));
      ++num_left_out;
    } else {
      CHECK(text->bytes() == one[1].get<std::string>());
    }
  }
  CHECK(num_left_out <= 49);
  for (const Json& one : expressions["refused"]) {
    CAPTURE(one);
    const auto parsed = ChatTemplate::parse(one.get<std::string>());
    CHECK_FALSE((parsed && parsed->render(expressions["variables"])));
  }
}

}  // namespace
}  // namespace troupe::model

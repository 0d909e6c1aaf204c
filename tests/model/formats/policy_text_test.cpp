// The files that say how a policy reads and writes: roles, templates, and what is refused.
#include "model/formats/policy_text.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <span>
#include <vector>

#include "model/formats/file.h"
#include "model/transformer/config.h"
#include "tests/model/tokenizer/family_vocabulary.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

struct Folder {
  Folder() { write("tokenizer.json", tests::golden_tokenizer_file("smollm2")); }

  void write(const std::string& name, const std::string& text) const {
    REQUIRE(write_file(dir.file(name), text));
  }
  PolicyText load() const {
    auto text = load_policy_text(dir.path(), config);
    if (!text) FAIL(text.error().message);
    return *text;
  }
  std::string refusal() const {
    const auto text = load_policy_text(dir.path(), config);
    REQUIRE_FALSE(text);
    CHECK(text.error().code == ErrorCode::kInvalidArgument);
    CHECK(text.error().message.find('\n') == std::string::npos);
    CHECK(text.error().message.find(dir.path()) != std::string::npos);
    return text.error().message;
  }

  tests::TempDir dir{};
  TransformerConfig config{.bos_token_id = -1, .eos_token_id = 2};
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("policy text: a response ends with generation_config.json's tokens, else config.json's") {
  const Folder folder;
  CHECK(folder.load().tokenizer.special() == SpecialIds{.eos = 2, .stop = {2}});
  folder.write("generation_config.json", R"({"eos_token_id": 1})");
  CHECK(folder.load().tokenizer.special() == SpecialIds{.eos = 1, .stop = {1}});
  folder.write("generation_config.json", R"({"eos_token_id": [1, 0]})");
  folder.write("tokenizer_config.json",
               R"({"bos_token": "<|im_start|>", "eos_token": {"content": "<|endoftext|>"},
                   "pad_token": "<|im_end|>"})");
  const PolicyText text = folder.load();
  const auto id = [&](const char* token) { return text.tokenizer.find(token); };
  CHECK(text.tokenizer.special() == SpecialIds{.bos = id("<|im_start|>"),
                                               .eos = id("<|endoftext|>"),
                                               .pad = id("<|im_end|>"),
                                               .stop = {1, 0}});
}

TEST_CASE("policy text: the chat template is a file's, or tokenizer_config.json's, or none") {
  const Folder folder;
  CHECK(folder.load().chat_template.empty());
  folder.write("tokenizer_config.json", R"({"chat_template": [
      {"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]})");
  CHECK(folder.load().chat_template == "D");
  folder.write("tokenizer_config.json", R"({"chat_template": "C", "troupe_template": "chatml"})");
  CHECK(folder.load().chat_template == "C");
  CHECK(folder.load().prompt_template == "chatml");
  folder.write("chat_template.jinja", "J");
  CHECK(folder.load().chat_template == "J");
}

TEST_CASE("policy text: what is saved beside weights is what was read, and the template's name") {
  const Folder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": "C", "unknown": [1, 2.5]})");
  folder.write("special_tokens_map.json", "{}");
  folder.write("chat_template.jinja", "J");
  PolicyText text = folder.load();
  text.prompt_template = "smollm2";
  const auto files = files_of(text);
  CHECK(files.size() == 5);
  CHECK(Json::parse(files.at("generation_config.json")) == Json({{"eos_token_id", 2}}));
  const Folder other;
  for (const auto& [name, content] : files) other.write(name, content);
  const PolicyText again = other.load();
  CHECK(again.prompt_template == "smollm2");
  CHECK(again.chat_template == "J");
  CHECK(again.files == files);
  CHECK(again.files.at("tokenizer.json") == text.files.at("tokenizer.json"));
  CHECK(Json::parse(again.files.at("tokenizer_config.json"))["unknown"] == Json({1, 2.5}));
  CHECK(again.tokenizer.special() == text.tokenizer.special());

  const auto bytes = files_of({.prompt_template = "plain"});
  REQUIRE(bytes.size() == 1);
  CHECK(Json::parse(bytes.begin()->second) ==
        Json({{"troupe_tokenizer", "bytes"}, {"troupe_template", "plain"}}));
}

// A GGUF file without tensors.
class GgufBytes {
 public:
  void number(const std::string& key, uint32_t value) { begin(key, 4).put(value); }
  void text(const std::string& key, const std::string& value) { begin(key, 8).put_text(value); }
  void texts(const std::string& key, const std::vector<std::string>& values) {
    begin(key, 9).put(uint32_t{8}).put(uint64_t{values.size()});
    for (const auto& value : values) put_text(value);
  }
  std::string whole() const {
    GgufBytes head;
    head.bytes_ = "GGUF";
    head.put(uint32_t{3}).put(uint64_t{0}).put(count_);
    return head.bytes_ + bytes_;
  }

 private:
  template <class Integer>
  GgufBytes& put(Integer value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  GgufBytes& put_text(const std::string& text) {
    put(uint64_t{text.size()});
    bytes_ += text;
    return *this;
  }
  GgufBytes& begin(const std::string& key, uint32_t type) {
    ++count_;
    return put_text(key).put(type);
  }

  std::string bytes_{};
  uint64_t count_ = 0;
};

TEST_CASE("policy text: a GGUF file has what the files of a folder would say") {
  const auto json = Json::parse(tests::golden_tokenizer_file("smollm2"));
  std::vector<std::string> tokens(json["model"]["vocab"].size()), merges;
  for (const auto& [token, id] : json["model"]["vocab"].items()) tokens[id] = token;
  for (const auto& merge : json["model"]["merges"]) {
    merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  GgufBytes bytes;
  bytes.text("tokenizer.ggml.model", "gpt2");
  bytes.text("tokenizer.ggml.pre", "smollm");
  bytes.texts("tokenizer.ggml.tokens", tokens);
  bytes.texts("tokenizer.ggml.merges", merges);
  bytes.number("tokenizer.ggml.bos_token_id", 1);
  bytes.number("tokenizer.ggml.eos_token_id", 2);
  bytes.number("tokenizer.ggml.eot_token_id", 0);
  bytes.text("tokenizer.chat_template", "C");
  const std::string file = bytes.whole();
  const auto gguf = parse_gguf(std::as_bytes(std::span(file)));
  REQUIRE_MESSAGE(gguf, gguf.error().message);
  const auto text = gguf_policy_text(*gguf, {}, "m.gguf");
  REQUIRE_MESSAGE(text, text.error().message);
  CHECK(text->chat_template == "C");
  CHECK(text->tokenizer.special() == SpecialIds{.bos = 1, .eos = 2, .stop = {2, 0}});

  const Folder folder;
  for (const auto& [name, content] : files_of(*text)) folder.write(name, content);
  const PolicyText again = folder.load();
  CHECK(again.chat_template == "C");
  CHECK(again.tokenizer.special() == text->tokenizer.special());
  CHECK(*again.tokenizer.encode("Hello 12") ==
        *tests::family_tokenizer("smollm2").encode("Hello 12"));

  const auto alone =
      parse_gguf(std::as_bytes(std::span("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24)));
  REQUIRE_MESSAGE(alone, alone.error().message);
  CHECK(gguf_policy_text(*alone, {}, "m.gguf")->tokenizer.is_bytes());
}

TEST_CASE("policy text: what is damaged or not supported is refused by its file") {
  {
    const Folder folder;
    folder.write("tokenizer_config.json", "[]");
    CHECK(contains(folder.refusal(), "tokenizer_config.json"));
  }
  {
    const Folder folder;
    folder.write("tokenizer.json", "{}");
    CHECK(contains(folder.refusal(), "tokenizer.json"));
  }
  for (const char* ids : {"\"x\"", "[1, null]", "-1", "4294967296", "1000000"}) {
    CAPTURE(ids);
    const Folder folder;
    folder.write("generation_config.json", std::string("{\"eos_token_id\": ") + ids + "}");
    folder.refusal();
  }
  {
    const Folder folder;
    folder.write("generation_config.json",
                 Json({{"eos_token_id", std::vector<int>(33, 1)}}).dump());
    CHECK(contains(folder.refusal(), "33 ids"));
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}) {
    CAPTURE(name);
    const Folder folder;
    folder.write(name, "{\"x\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}");
    CHECK(contains(folder.refusal(), name));
  }
  {
    const Folder folder;
    std::filesystem::remove(folder.dir.file("tokenizer.json"));
    folder.write("tokenizer.model", "x");
    CHECK(contains(folder.refusal(), "save_pretrained"));
  }
}

TEST_CASE("policy text: a chat template that is not one text, and tokens that only one file has") {
  const Folder folder;
  const auto refused = [&](const std::string& config, const std::string& what) {
    folder.write("tokenizer_config.json", config);
    const std::string refusal = folder.refusal();
    CAPTURE(refusal);
    CHECK(contains(refusal, "tokenizer_config.json: " + what));
  };
  refused(R"({"chat_template": 7})", "chat_template is no text");
  refused(R"({"chat_template": [{"name": "tool_use", "template": "x"}]})",
          "chat_template has no template named \"default\"");
  refused(R"({"eos_token": "<|never|>"})", "eos_token is \"<|never|>\", which tokenizer.json does");
  refused(R"({"bos_token": {"content": "<|never|>"}})", "bos_token is \"<|never|>\"");
  refused(R"({"added_tokens_decoder": {"2": {"content": "<|never|>"}}})",
          "added_tokens_decoder says that \"<|never|>\" is token \"2\", tokenizer.json does not");
  refused(R"({"added_tokens_decoder": {"1": {"content": "<|im_end|>"}}})",
          "added_tokens_decoder says that \"<|im_end|>\" is token \"1\"");
  folder.write("special_tokens_map.json", "[]");
  folder.write("tokenizer_config.json", "{}");
  CHECK(contains(folder.refusal(), "special_tokens_map.json: is not a JSON object"));
  folder.write("special_tokens_map.json", R"({"unk_token": "<|endoftext|>", "bos_token": "a"})");
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "tool_use", "template": "x"},
                                     {"name": "default", "template": "y"}],
                   "added_tokens_decoder": {"2": {"content": "<|im_end|>"}},
                   "eos_token": {"content": "<|im_end|>"}, "bos_token": "<|im_start|>"})");
  const PolicyText text = folder.load();
  CHECK(text.chat_template == "y");
  CHECK(text.special_tokens == std::map<std::string, std::string>{{"bos_token", "<|im_start|>"},
                                                                  {"eos_token", "<|im_end|>"},
                                                                  {"unk_token", "<|endoftext|>"}});
}

}  // namespace
}  // namespace troupe::model

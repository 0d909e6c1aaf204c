// Arrays of a GGUF file against the tokenizer.json that they were made from.
#include "model/tokenizer/gguf_vocabulary.h"

#include <doctest/doctest.h>

#include "tests/model/tokenizer/family_vocabulary.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

// As a converter writes them.
GgufVocabulary arrays_of(const std::string& family, std::string pre) {
  const auto file = Json::parse(tests::golden_tokenizer_file(family));
  GgufVocabulary vocabulary{.model = "gpt2", .pre = std::move(pre)};
  size_t count = 0;
  for (const auto& [token, id] : file["model"]["vocab"].items()) {
    count = std::max(count, id.get<size_t>() + 1);
  }
  for (const auto& token : file["added_tokens"]) {
    count = std::max(count, token["id"].get<size_t>() + 1);
  }
  // Rows without a token, as models have them.
  for (size_t i = 0; i < count + 3; ++i) {
    vocabulary.tokens.push_back("[PAD" + std::to_string(i) + "]");
  }
  vocabulary.token_type.assign(count + 3, 5);
  for (const auto& [token, id] : file["model"]["vocab"].items()) {
    vocabulary.tokens[id.get<size_t>()] = token;
    vocabulary.token_type[id.get<size_t>()] = 1;
  }
  for (const auto& token : file["added_tokens"]) {
    const auto id = token["id"].get<size_t>();
    vocabulary.tokens[id] = token["content"];
    vocabulary.token_type[id] = token["special"].get<bool>() ? 3 : 4;
  }
  for (const auto& merge : file["model"]["merges"]) {
    vocabulary.merges.push_back(merge.is_string() ? merge.get<std::string>()
                                                  : merge[0].get<std::string>() + " " +
                                                        merge[1].get<std::string>());
  }
  return vocabulary;
}

TEST_CASE("gguf vocabulary: arrays give the ids of the file that they came from") {
  const auto& lines = tests::golden_lines();
  const std::pair<const char*, const char*> families[] = {{"gpt2", "gpt-2"},
                                                          {"smollm2", "smollm"},
                                                          {"llama3", "llama-bpe"},
                                                          {"qwen2", "qwen2"},
                                                          {"deepseek_v3", "deepseek-v3"}};
  for (const auto& [family, pre] : families) {
    CAPTURE(family);
    const Tokenizer reference = tests::family_tokenizer(family);
    auto vocabulary = arrays_of(family, pre);
    vocabulary.bos_token_id = 0;
    const auto json = to_tokenizer_json(vocabulary, "m.gguf");
    if (!json) FAIL(json.error().message);
    const auto tokenizer = Tokenizer::parse(*json, "m.gguf");
    if (!tokenizer) FAIL(tokenizer.error().message);
    CHECK(tokenizer->vocabulary_size() == reference.vocabulary_size());
    CHECK(tokenizer->prefix() ==
          (std::string(family) == "llama3" ? std::vector<int32_t>{0} : std::vector<int32_t>{}));
    size_t wrong = 0;
    for (size_t i = 0; i < lines.size(); i += 5) {
      wrong += *tokenizer->encode(lines[i]) != *reference.encode(lines[i]) ? 1 : 0;
      wrong += *tokenizer->encode_markup(lines[i]) != *reference.encode_markup(lines[i]) ? 1 : 0;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("gguf vocabulary: what is unknown or does not fit is refused") {
  const auto refusal = [](const GgufVocabulary& vocabulary) {
    const auto json = to_tokenizer_json(vocabulary, "m.gguf");
    const auto made = json ? Tokenizer::parse(*json, "m.gguf") : json.error();
    REQUIRE_FALSE(made);
    CHECK(made.error().message.starts_with("m.gguf: "));
    CHECK(made.error().message.find('\n') == std::string::npos);
    return made.error().message;
  };
  const auto good = arrays_of("gpt2", "gpt-2");
  REQUIRE(to_tokenizer_json(good, "m.gguf"));
  auto bad = good;
  bad.model = "llama";
  CHECK(refusal(bad).find("\"llama\"") != std::string::npos);
  bad = good;
  bad.pre = "qwen";
  CHECK(refusal(bad).find("there are: qwen2") != std::string::npos);
  bad = good;
  bad.token_type.pop_back();
  refusal(bad);
  bad = good;
  bad.token_type[5] = 9;
  refusal(bad);
  bad = good;
  bad.tokens[5] = bad.tokens[6];
  refusal(bad);
  bad = good;
  bad.merges[0] = "no such";
  refusal(bad);
  bad = good;
  bad.add_bos_token = true;
  refusal(bad);
  bad.bos_token_id = 1 << 30;
  refusal(bad);
}

}  // namespace
}  // namespace troupe::model

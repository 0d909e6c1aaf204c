// Seeded mutations of tokenizer files through their target.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"
#include "tests/fuzz/mutations.h"
#include "tests/fuzz/targets.h"
#include "tests/model/tokenizer/family_vocabulary.h"

namespace troupe::fuzz {
namespace {

using Json = nlohmann::json;

// A family's file with few tokens, so that a mutation often hits something else.
std::string short_file(const std::string& family) {
  auto file = Json::parse(tests::golden_tokenizer_file(family));
  auto& model = file["model"];
  const size_t tokens = family == "llama2" ? 300 : 275;
  Json vocabulary = Json::object();
  for (const auto& [token, id] : model["vocab"].items()) {
    if (id.get<size_t>() < tokens) vocabulary[token] = id;
  }
  Json merges = Json::array();
  for (const auto& merge : model["merges"]) {
    const auto side = [&](size_t i) {
      if (merge.is_array()) return merge[i].get<std::string>();
      const auto text = merge.get<std::string>();
      const size_t space = text.find(' ');
      return i == 0 ? text.substr(0, space) : text.substr(space + 1);
    };
    if (vocabulary.contains(side(0)) && vocabulary.contains(side(1)) &&
        vocabulary.contains(side(0) + side(1))) {
      merges.push_back(merge);
    }
  }
  model["vocab"] = vocabulary;
  model["merges"] = merges;
  Json added = Json::array();
  for (const auto& token : file["added_tokens"]) {
    if (token["id"].get<size_t>() < tokens) added.push_back(token);
  }
  file["added_tokens"] = added;
  return file.dump();
}

// A value somewhere in `json`, the shallow ones as often as the many tokens.
Json& somewhere(Json& json, Mutations& random) {
  Json* at = &json;
  while (at->is_structured() && !at->empty() && random.below(6) != 0) {
    auto child = at->begin();
    std::advance(child, static_cast<int64_t>(random.below(at->size())));
    at = &*child;
  }
  return *at;
}

// Changes, removes or copies a value: what is left is JSON, and often nearly a tokenizer.
void change(Json& json, const std::vector<Json>& dictionary, Mutations& random) {
  Json& value = somewhere(json, random);
  switch (random.below(4)) {
    case 0:
      value = dictionary[random.below(dictionary.size())];
      return;
    case 1: {
      const Json other = somewhere(json, random);
      value = other;
      return;
    }
    case 2:
      if (value.is_string()) {
        auto text = value.get<std::string>();
        const auto& more = dictionary[random.below(dictionary.size())];
        text.insert(random.below(text.size() + 1),
                    more.is_string() ? more.get<std::string>() : "(");
        value = text;
      } else if (value.is_number_integer()) {
        value = value.get<int64_t>() + static_cast<int64_t>(random.below(5)) - 2;
      } else if (value.is_boolean()) {
        value = !value.get<bool>();
      }
      return;
    default:
      if (value.is_structured() && !value.empty()) {
        auto child = value.begin();
        std::advance(child, static_cast<int64_t>(random.below(value.size())));
        value.erase(child);
      }
  }
}

void try_out(const std::string& input) {
  tokenizer_json::fuzz_one(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

TEST_CASE("tokenizer fuzz: 20,000 files of damaged bytes are refused or used within bounds") {
  std::vector<std::string> corpus;
  for (const auto& family : tests::vocabulary_families()) corpus.push_back(short_file(family));
  Mutations mutations(corpus, {"\"type\":", "null", "-1", "1e99", "[", "{", "\\\\p{N}", "\\u0000"},
                      11);
  size_t bytes = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string input = mutations.next(1 << 16);
    bytes += input.size();
    try_out(input);
  }
  CHECK(bytes > 1000 * 20'000);
}

TEST_CASE("tokenizer fuzz: 6,000 files with other values are refused or used within bounds") {
  std::vector<Json> corpus;
  for (const auto& family : tests::vocabulary_families()) {
    corpus.push_back(Json::parse(short_file(family)));
    // What is tried is not refused from the start.
    REQUIRE(model::Tokenizer::parse(corpus.back().dump(), family));
  }
  std::vector<Json> dictionary;
  for (const char* text : {R"("Sequence")",
                           R"("Split")",
                           R"("Removed")",
                           R"("MergedWithNext")",
                           R"("Contiguous")",
                           R"({"Regex": "(a+)+$"})",
                           R"({"String": ""})",
                           R"({"Regex": ""})",
                           "null",
                           "true",
                           "false",
                           "-1",
                           "0",
                           "1048575",
                           "1048576",
                           "1e99",
                           "18446744073709551615",
                           "[]",
                           "{}",
                           R"({"type": "NFC"})",
                           R"({"type": "Prepend", "prepend": "x"})",
                           R"("\\p{N}|")",
                           R"("(?!")",
                           R"("{1,9999}")",
                           R"("|")",
                           R"("[^\\s]")",
                           R"("\u0000")",
                           R"("\u0120")",
                           R"({"type": "Digits"})",
                           R"({"type": "ByteLevel"})",
                           R"({"type": "Fuse"})",
                           R"("a")"}) {
    dictionary.push_back(Json::parse(text));
  }
  Mutations random({""}, {""}, 12);
  int used = 0;
  for (int i = 0; i < 6000; ++i) {
    Json json = corpus[random.below(corpus.size())];
    for (size_t count = 1 + random.below(3); count > 0; --count) change(json, dictionary, random);
    const std::string input = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    used += model::Tokenizer::parse(input, "t") ? 1 : 0;
    try_out(input);
  }
  CHECK(used > 600);
}

}  // namespace
}  // namespace troupe::fuzz

// Vocabularies from files: the ids that the `tokenizers` package gives, and what may never happen.
#include "model/tokenizer/tokenizer.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "model/tokenizer/byte_tokenizer.h"
#include "tests/model/tokenizer/family_vocabulary.h"

namespace troupe::model {
namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::json;

uint64_t fnv1a(uint64_t value, const Ids& ids) {
  constexpr uint64_t kPrime = 0x100000001B3;
  for (int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      value = (value ^ ((static_cast<uint32_t>(id) >> shift) & 0xFF)) * kPrime;
    }
  }
  return (value ^ 0xFF) * kPrime;
}

// Bytes 'a' .. 'd' and " ", some merges of them, and two markers.
Json small_file() {
  return Json::parse(R"({
    "added_tokens": [{"id": 10, "content": "<end>", "special": true},
                     {"id": 11, "content": "<tool>", "special": false}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "merges": ["a b", "ab c", "b c"],
              "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "\u0120": 4, "ab": 5, "abc": 6, "bc": 7}}
  })");
}

Tokenizer tokenizer_of(const Json& json) {
  auto made = Tokenizer::parse(json.dump(), "t.json");
  if (!made) FAIL(made.error().message);
  return *made;
}

std::string refusal(const Json& json) {
  auto made = Tokenizer::parse(json.dump(), "t.json");
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ErrorCode::kInvalidArgument);
  CHECK(made.error().message.starts_with("t.json: "));
  CHECK(made.error().message.find('\n') == std::string::npos);
  return made.error().message;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

TEST_CASE("tokenizer: six families give the reference's ids on 10,000 lines") {
  const auto hashes = Json::parse(tests::golden_tokenizer_file("hashes"));
  const auto& lines = tests::golden_lines();
  constexpr size_t kPerHash = 10;
  for (const auto& name : tests::vocabulary_families()) {
    const Tokenizer tokenizer = tests::family_tokenizer(name);
    for (const bool is_trusted : {false, true}) {
      CAPTURE(name);
      CAPTURE(is_trusted);
      const auto want = hashes.at(name + (is_trusted ? ".markup" : "")).get<std::string>();
      REQUIRE(want.size() == 8 * lines.size() / kPerHash);
      size_t wrong = 0, ids_seen = 0;
      uint64_t hash = 0;
      for (size_t i = 0; i < lines.size(); ++i) {
        if (i % kPerHash == 0) hash = 0xCBF29CE484222325;
        const auto ids =
            is_trusted ? tokenizer.encode_markup(lines[i]) : tokenizer.encode(lines[i]);
        REQUIRE(ids);
        ids_seen += ids->size();
        hash = fnv1a(hash, *ids);
        if ((i + 1) % kPerHash != 0) continue;
        wrong += fmt::format("{:08x}", hash >> 32) != want.substr(i / kPerHash * 8, 8) ? 1 : 0;
      }
      CHECK(wrong == 0);
      CHECK(ids_seen > 100'000);
    }
  }
}

TEST_CASE("tokenizer: what is encoded decodes to the same bytes") {
  const auto& lines = tests::golden_lines();
  for (const auto& name : tests::vocabulary_families()) {
    CAPTURE(name);
    const Tokenizer tokenizer = tests::family_tokenizer(name);
    size_t checked = 0;
    for (size_t i = 0; i < lines.size(); i += 7) {
      // Normal forms are another text of the same meaning.
      if (name == "qwen2" && contains(lines[i], "\u0301")) continue;
      if (name == "qwen2" && tokenizer.decode(*tokenizer.encode(lines[i])) != lines[i]) {
        const std::string once = tokenizer.decode(*tokenizer.encode(lines[i]));
        CHECK(tokenizer.decode(*tokenizer.encode(once)) == once);
        continue;
      }
      CHECK(tokenizer.decode(*tokenizer.encode(lines[i])) == lines[i]);
      ++checked;
    }
    CHECK(checked > 500);
  }
}

TEST_CASE("tokenizer: bytes that are no UTF-8 go through and come back") {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  for (const std::string& text :
       {bytes, std::string("a\xFF\xFEz"), std::string("\xE4\xBD"), std::string("\xC0\x80 x"),
        std::string("ok \xED\xA0\x80 ok"), std::string("\xF0\x9F\x98")}) {
    for (const auto& name : tests::vocabulary_families()) {
      CAPTURE(name);
      const Tokenizer tokenizer = tests::family_tokenizer(name);
      CHECK(tokenizer.decode(*tokenizer.encode(text)) == text);
    }
  }
}

TEST_CASE("tokenizer: markers in untrusted text never become their tokens") {
  for (const auto& name : tests::vocabulary_families()) {
    CAPTURE(name);
    const auto file = Json::parse(tests::golden_tokenizer_file(name));
    const Tokenizer tokenizer = tests::family_tokenizer(name);
    size_t markers = 0;
    for (const auto& token : file["added_tokens"]) {
      const auto id = token["id"].get<int32_t>();
      const auto marker = token["content"].get<std::string>();
      CHECK(tokenizer.find(marker) == id);
      for (const std::string& text : {marker, "a" + marker + "b", marker + marker}) {
        const auto ids = tokenizer.encode(text);
        REQUIRE(ids);
        CHECK(std::find(ids->begin(), ids->end(), id) == ids->end());
        CHECK(tokenizer.decode(*ids) == text);
        const auto trusted = tokenizer.encode_markup(text);
        CHECK(std::find(trusted->begin(), trusted->end(), id) != trusted->end());
      }
      ++markers;
    }
    CHECK(markers > 0);
  }
}

TEST_CASE("tokenizer: a special token is not reached by merges or as a whole word") {
  auto file = small_file();
  file["added_tokens"].push_back({{"id", 6}, {"content", "abc"}, {"special", true}});
  for (const bool ignores_merges : {false, true}) {
    file["model"]["ignore_merges"] = ignores_merges;
    CHECK(*tokenizer_of(file).encode("abc") == Ids{5, 2});
    CHECK(*tokenizer_of(file).encode_markup("abc") == Ids{6});
  }
}

TEST_CASE("tokenizer: merges go by rank, then from the left") {
  const Tokenizer tokenizer = tokenizer_of(small_file());
  CHECK(*tokenizer.encode("abc") == Ids{6});
  CHECK(*tokenizer.encode("bcab") == Ids{7, 5});
  CHECK(*tokenizer.encode("aabcc abd") == Ids{0, 6, 2, 4, 5, 3});
  CHECK(tokenizer.encode("")->empty());
  // The vocabulary has no byte for x.
  CHECK(*tokenizer.encode("axb") == Ids{5});
  auto file = small_file();
  file["model"]["unk_token"] = "d";
  CHECK(*tokenizer_of(file).encode("axxb") == Ids{0, 3, 3, 1});
  file["model"]["fuse_unk"] = true;
  CHECK(*tokenizer_of(file).encode("axxb") == Ids{0, 3, 1});
  file["model"]["merges"] = Json::parse(R"([["a", "b"], ["ab", "c"], ["b", "c"]])");
  CHECK(*tokenizer_of(file).encode("abc") == Ids{6});
}

TEST_CASE("tokenizer: parts are one text, and only trusted ones have markers") {
  const Tokenizer tokenizer = tokenizer_of(small_file());
  const auto encode = [&](std::vector<TextPart> parts) { return *tokenizer.encode(parts); };
  CHECK(encode({{"a"}, {"b"}, {"c"}}) == Ids{6});
  CHECK(encode({{"d<end>", true}, {"ab"}, {"c<end>", true}}) == Ids{3, 10, 6, 10});
  const Ids text = *tokenizer.encode("a<end>");
  CHECK(encode({{"a", true}, {"<end>"}}) == text);
  // Half a marker of ours and half of theirs is none.
  CHECK(encode({{"a<en", true}, {"d>"}}) == text);
  CHECK(encode({}).empty());
}

TEST_CASE("tokenizer: added tokens take white space and respect words as they say") {
  auto file = small_file();
  file["added_tokens"][0]["lstrip"] = true;
  file["added_tokens"][0]["rstrip"] = true;
  CHECK(*tokenizer_of(file).encode_markup("a  <end> \n b") == Ids{0, 10, 1});
  CHECK(*tokenizer_of(file).encode_markup("a <end> <end>") == Ids{0, 10, 10});
  file = small_file();
  file["added_tokens"][1] = {{"id", 11}, {"content", "dd"}, {"single_word", true}};
  CHECK(*tokenizer_of(file).encode_markup("dd ddd dd") == Ids{11, 4, 3, 3, 3, 4, 11});
  // Of two that fit the longer one is meant.
  file["added_tokens"][1] = {{"id", 11}, {"content", "<end><end>"}};
  CHECK(*tokenizer_of(file).encode_markup("<end><end><end>") == Ids{11, 10});
  // White space that was added is harmless, whoever wrote it.
  file["added_tokens"][1] = {{"id", 11}, {"content", "  "}};
  CHECK(*tokenizer_of(file).encode("a  b") == Ids{0, 11, 1});
  file["added_tokens"][1]["special"] = true;
  CHECK(*tokenizer_of(file).encode("a  b") == Ids{0, 4, 4, 1});
}

TEST_CASE("tokenizer: special tokens vanish or are shown, ids without a token vanish") {
  const Tokenizer tokenizer = tokenizer_of(small_file());
  const Ids ids = {10, 6, 4, 11, 8, 9, 12, -1, 1'000'000, 10};
  CHECK(tokenizer.decode(ids) == "abc <tool>");
  CHECK(tokenizer.decode(ids, Tokenizer::Special::kShown) == "<end>abc <tool><end>");
  CHECK(tokenizer.vocabulary_size() == 12);
  CHECK(tokenizer.is_valid(11));
  CHECK_FALSE(tokenizer.is_valid(8));
  CHECK_FALSE(tokenizer.is_valid(12));
  CHECK_FALSE(tokenizer.is_valid(-1));
  CHECK(tokenizer.find("<tool>") == 11);
  CHECK(tokenizer.find("ab") == 5);
  CHECK_FALSE(tokenizer.find("x"));
}

TEST_CASE("tokenizer: the post-processor says what is around a text") {
  CHECK(tests::family_tokenizer("llama3").prefix() == Ids{0});
  CHECK(tests::family_tokenizer("llama3").suffix().empty());
  CHECK(tests::family_tokenizer("smollm2").prefix().empty());
  auto file = small_file();
  file["post_processor"] = Json::parse(R"({"type": "Sequence", "processors": [
      {"type": "ByteLevel"},
      {"type": "TemplateProcessing", "special_tokens": {"<end>": {"id": "<end>", "ids": [10]}},
       "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "<end>"}}]}]})");
  CHECK(tokenizer_of(file).suffix() == Ids{10});
  file["post_processor"]["processors"][1]["special_tokens"]["<end>"]["ids"] = {77};
  CHECK(contains(refusal(file), "post_processor"));
}

TEST_CASE("tokenizer: roles are ids of tokens") {
  const Tokenizer tokenizer = tokenizer_of(small_file());
  CHECK_FALSE(tokenizer.special().eos);
  const auto with = tokenizer.with({.eos = 10, .stop = {10, 11}});
  REQUIRE(with);
  CHECK(with->special().eos == 10);
  CHECK_FALSE(tokenizer.with({.bos = 8}));
  CHECK_FALSE(tokenizer.with({.stop = {12}}));
}

TEST_CASE("tokenizer: what is not supported is refused by its name") {
  const auto with = [](const char* path, const char* value) {
    auto file = small_file();
    file[Json::json_pointer(path)] = Json::parse(value);
    return refusal(file);
  };
  CHECK(contains(with("/model", R"({"type": "Unigram"})"), "Unigram"));
  CHECK(contains(with("/model/dropout", "0.1"), "dropout"));
  CHECK(contains(with("/model/end_of_word_suffix", "\"</w>\""), "end_of_word_suffix"));
  CHECK(contains(with("/model/byte_fallback", "true"), "byte_fallback"));
  CHECK(contains(with("/pre_tokenizer", R"({"type": "Metaspace"})"), "Metaspace"));
  CHECK(contains(with("/normalizer", R"({"type": "Lowercase"})"), "Lowercase"));
  CHECK(contains(with("/normalizer", R"({"type": "Replace", "pattern": {"Regex": "a"}})"),
                 "Replace"));
  CHECK(contains(with("/decoder", R"({"type": "WordPiece"})"), "WordPiece"));
  CHECK(contains(with("/decoder", "null"), "ByteLevel"));
  CHECK(contains(with("/post_processor", R"({"type": "RobertaProcessing"})"), "RobertaProcessing"));
  CHECK(contains(with("/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [
      {"type": "ByteLevel"}, {"type": "Digits"}]})"),
                 "after ByteLevel"));
  CHECK(contains(with("/pre_tokenizer", R"({"type": "Split", "behavior": "Isolated",
      "pattern": {"Regex": "\\bx"}})"),
                 "\\b"));
}

TEST_CASE("tokenizer: what is damaged is refused") {
  const auto with = [](const char* path, const char* value) {
    auto file = small_file();
    file[Json::json_pointer(path)] = Json::parse(value);
    return refusal(file);
  };
  with("/model/vocab", "{}");
  with("/model/vocab/a", "-1");
  with("/model/vocab/a", "1.5");
  with("/model/vocab/a", "4294967296");
  with("/model/vocab/a", "1");
  with("/model/merges", "[\"a  b\"]");
  with("/model/merges", "[\"a x\"]");
  with("/model/merges", "[[\"a\"]]");
  with("/model/merges", "null");
  with("/model/unk_token", "\"zz\"");
  with("/added_tokens/0/id", "0");
  with("/added_tokens/0/id", "11");
  with("/added_tokens/0/content", "\"\"");
  with("/added_tokens/0/content", "\"a\"");
  with("/added_tokens", "{}");
  with("/pre_tokenizer", R"({"type": "Split", "behavior": "Nearby", "pattern": {"String": "a"}})");
  with("/pre_tokenizer", R"({"type": "Split", "behavior": "Removed"})");
  CHECK_FALSE(Tokenizer::parse("", "x"));
  CHECK_FALSE(Tokenizer::parse("[1]", "x"));
  CHECK_FALSE(Tokenizer::parse(std::string(100'000, '['), "x"));
}

TEST_CASE("tokenizer: a word of a million letters is merged, a wild pattern is given up") {
  const Tokenizer llama2 = tests::family_tokenizer("llama2");
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += i % 7 == 0 ? "the " : "reward";
  CHECK(llama2.decode(*llama2.encode(text)) == text);

  auto file = small_file();
  file["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(a|b|ab)*c$"}},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})");
  std::string hostile;
  for (int i = 0; i < 2000; ++i) hostile += "ab";
  const auto refused = tokenizer_of(file).encode(hostile + "cd");
  REQUIRE_FALSE(refused);
  CHECK(contains(refused.error().message, "too much work"));
  CHECK(tokenizer_of(file).encode("abcd"));
}

TEST_CASE("tokenizer: splitting has the behaviors of the reference") {
  // The ids tell the pieces, because nothing is merged over their ends: "abc" whole is 6.
  const auto split = [](const char* behavior, bool is_inverse, std::string_view text) {
    auto file = small_file();
    file["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"},
           {"pattern", {{"String", "c"}}},
           {"behavior", behavior},
           {"invert", is_inverse}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
    return *tokenizer_of(file).encode(text);
  };
  CHECK(split("Isolated", false, "abcabc") == Ids{5, 2, 5, 2});
  CHECK(split("Removed", false, "abcabc") == Ids{5, 5});
  CHECK(split("Removed", true, "abcabc") == Ids{2, 2});
  CHECK(split("MergedWithPrevious", false, "abcabc") == Ids{6, 6});
  CHECK(split("MergedWithPrevious", false, "abccbc") == Ids{6, 2, 7});
  CHECK(split("MergedWithNext", false, "ccabab") == Ids{2, 2, 5, 5});
  CHECK(split("MergedWithNext", true, "abcbc") == Ids{6, 7});
  CHECK(split("Contiguous", false, "abccab") == Ids{5, 2, 2, 5});
}

TEST_CASE("tokenizer: the default one is the bytes'") {
  const Tokenizer tokenizer;
  CHECK(tokenizer.is_bytes());
  CHECK(tokenizer.vocabulary_size() == ByteTokenizer::kVocabularySize);
  const std::string text = "a<think>\xFF</think>";
  CHECK(*tokenizer.encode(text) == ByteTokenizer::encode(text));
  CHECK(*tokenizer.encode_markup(text) == ByteTokenizer::encode_markup(text));
  CHECK(tokenizer.prefix() == Ids{ByteTokenizer::kBos});
  CHECK(tokenizer.special().stop == Ids{ByteTokenizer::kEos});
  CHECK(tokenizer.find("</answer>") == ByteTokenizer::kAnswerClose);
  CHECK_FALSE(tokenizer.find("ab"));
  const Ids ids = {257, 259, '8', 260, 258, 256, 263, 271, 272, -5};
  CHECK(tokenizer.decode(ids) == "<think>8</think>");
  CHECK(tokenizer.decode(ids, Tokenizer::Special::kShown) == "<bos><think>8</think><eos><pad>");
}

}  // namespace
}  // namespace troupe::model

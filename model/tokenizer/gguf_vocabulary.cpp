#include "model/tokenizer/gguf_vocabulary.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "model/tokenizer/json_fields.h"
#include "schemas/json_text.h"
#include "schemas/nearest.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

enum TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

constexpr const char* kLlama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kQwen2 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kDeepSeekDigits = "\\p{N}{1,3}";
// Han and kana.
constexpr const char* kDeepSeekCjk = "[\\u4e00-\\u9fa5\\u3040-\\u309f\\u30a0-\\u30ff]+";
constexpr const char* kDeepSeek =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

// What a family's own tokenizer.json says.
struct Family {
  const char* name;
  std::vector<const char*> splits{};
  bool has_single_digits = false;
  bool has_gpt2_pattern = false;
  bool is_nfc = false;
  bool ignores_merges = false;
  bool adds_bos = false;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {.name = "gpt-2", .has_gpt2_pattern = true},
      {.name = "smollm", .has_single_digits = true, .has_gpt2_pattern = true},
      {.name = "llama-bpe", .splits = {kLlama3}, .ignores_merges = true, .adds_bos = true},
      {.name = "qwen2", .splits = {kQwen2}, .is_nfc = true},
      {.name = "deepseek-r1-qwen", .splits = {kQwen2}, .is_nfc = true, .adds_bos = true},
      {.name = "deepseek-v3", .splits = {kDeepSeekDigits, kDeepSeekCjk, kDeepSeek}},
  };
  return all;
}

Json pre_tokenizer_of(const Family& family) {
  Json steps = Json::array();
  if (family.has_single_digits) {
    steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  }
  for (const char* pattern : family.splits) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", family.has_gpt2_pattern}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

bool is_id(const std::optional<int64_t>& id, size_t count) {
  return id && *id >= 0 && *id < static_cast<int64_t>(count);
}

}  // namespace

Result<std::string> to_tokenizer_json(const GgufVocabulary& vocabulary, std::string_view origin) {
  const auto refused = [&](std::string_view why) {
    return invalid_argument(fmt::format("{}: tokenizer.ggml.{}", origin, why));
  };
  if (vocabulary.model != "gpt2") {
    return refused(
        fmt::format("model = {} is not supported; there is gpt2", shown_name(vocabulary.model)));
  }
  const Family* family = nullptr;
  std::vector<std::string> names;
  for (const Family& one : families()) {
    names.emplace_back(one.name);
    if (one.name == vocabulary.pre) family = &one;
  }
  if (family == nullptr) {
    return refused(fmt::format("pre = {} is not known; there are: {}", shown_name(vocabulary.pre),
                               nearest_first_list(vocabulary.pre, std::move(names))));
  }
  const size_t count = vocabulary.tokens.size();
  if (!vocabulary.token_type.empty() && vocabulary.token_type.size() != count) {
    return refused("token_type has another length than tokens");
  }
  Json tokens = Json::object(), added = Json::array();
  for (size_t i = 0; i < count; ++i) {
    const std::string& token = vocabulary.tokens[i];
    const int32_t type =
        vocabulary.token_type.empty() ? int32_t{kNormal} : vocabulary.token_type[i];
    if (type == kUnused) continue;
    if (type < kNormal || type > kByte) {
      return refused(fmt::format("token_type has the unknown type {}", type));
    }
    if (type == kUnknown || type == kControl || type == kUserDefined) {
      added.push_back({{"id", i},
                       {"content", token},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", type != kUserDefined}});
    }
    if (!tokens.emplace(token, i).second) {
      return refused(fmt::format("tokens has {} twice", shown_name(token)));
    }
  }
  Json processor = {{"type", "ByteLevel"},
                    {"add_prefix_space", true},
                    {"trim_offsets", false},
                    {"use_regex", true}};
  if (vocabulary.add_bos_token.value_or(family->adds_bos)) {
    if (!is_id(vocabulary.bos_token_id, count)) return refused("bos_token_id is no token");
    const auto bos_id = *vocabulary.bos_token_id;
    const std::string& bos = vocabulary.tokens[static_cast<size_t>(bos_id)];
    const Json bos_piece = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
    const auto text_piece = [](const char* name, int type) {
      return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
    };
    Json second = bos_piece;
    second["SpecialToken"]["type_id"] = 1;
    processor = {{"type", "TemplateProcessing"},
                 {"single", {bos_piece, text_piece("A", 0)}},
                 {"pair", {bos_piece, text_piece("A", 0), second, text_piece("B", 1)}},
                 {"special_tokens", {{bos, {{"id", bos}, {"ids", {bos_id}}, {"tokens", {bos}}}}}}};
  }
  Json json = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", std::move(added)},
               {"normalizer", family->is_nfc ? Json{{"type", "NFC"}} : Json()},
               {"pre_tokenizer", pre_tokenizer_of(*family)},
               {"post_processor", std::move(processor)},
               {"decoder",
                {{"type", "ByteLevel"},
                 {"add_prefix_space", true},
                 {"trim_offsets", true},
                 {"use_regex", true}}},
               {"model",
                {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", nullptr},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", false},
                 {"byte_fallback", false},
                 {"ignore_merges", family->ignores_merges},
                 {"vocab", std::move(tokens)},
                 {"merges", vocabulary.merges}}}};
  return to_text(json, {.replaces_invalid = true}) + "\n";
}

}  // namespace troupe::model

#include "model/formats/policy_text.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/formats/file.h"
#include "model/tokenizer/gguf_vocabulary.h"
#include "model/tokenizer/json_fields.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

using Json = nlohmann::ordered_json;
using Files = std::map<std::string, std::string>;

constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kTokenizerConfig = "tokenizer_config.json";
constexpr const char* kGenerationConfig = "generation_config.json";
constexpr const char* kSpecialTokens = "special_tokens_map.json";
constexpr const char* kChatTemplate = "chat_template.jinja";
// Ours, in tokenizer_config.json.
constexpr const char* kOwnTokenizer = "troupe_tokenizer";
constexpr const char* kOwnTemplate = "troupe_template";

constexpr std::array kFiles = {kTokenizer, kTokenizerConfig, kGenerationConfig, kSpecialTokens,
                               kChatTemplate};
constexpr size_t kTokenizerBytesMax = 64 << 20;
constexpr size_t kFileBytesMax = 4 << 20;  // Of each other one.
constexpr size_t kEndsMax = 32;

// The file as a JSON object; an empty one where there is no such file.
Result<nlohmann::json> object_in(const Files& files, const char* name, std::string_view origin) {
  const auto found = files.find(name);
  if (found == files.end()) return nlohmann::json::object();
  auto json = parse_json(found->second, kFileDepthMax);
  if (json.is_object()) return json;
  return invalid_argument(fmt::format("{}: {}: is not a JSON object", origin, name));
}

// A token as tokenizer_config.json gives it: its text, or an object with it.
const std::string* token_text(const nlohmann::json& config, const char* key) {
  const auto* found = find_field(config, key);
  if (found == nullptr) return nullptr;
  return found->is_object() ? find_string(*found, "content") : found->get_ptr<const std::string*>();
}

std::optional<int32_t> named_token(const nlohmann::json& config, const char* key,
                                   const Tokenizer& tokenizer) {
  const std::string* text = token_text(config, key);
  return text == nullptr ? std::nullopt : tokenizer.find(*text);
}

// One id or a list of them.
Result<std::vector<int32_t>> end_ids(const nlohmann::json& generation, std::string_view origin) {
  const auto* found = find_field(generation, "eos_token_id");
  std::vector<int32_t> ids;
  if (found == nullptr) return ids;
  if (found->is_array() && found->size() > kEndsMax) {
    return invalid_argument(fmt::format("{}: {}: eos_token_id has {} ids, at most {} can be",
                                        origin, kGenerationConfig, found->size(), kEndsMax));
  }
  for (const auto& one : found->is_array() ? *found : nlohmann::json::array({*found})) {
    if (!one.is_number_integer() || one < 0 || one > INT32_MAX) {
      return invalid_argument(
          fmt::format("{}: {}: eos_token_id is no token id", origin, kGenerationConfig));
    }
    ids.push_back(one.get<int32_t>());
  }
  return ids;
}

// tokenizer_config.json's chat_template: a text, or a list of named ones.
Result<std::string> chat_template_in(const nlohmann::json& config, std::string_view origin) {
  if (find_field(config, "chat_template") == nullptr) return std::string();
  if (const std::string* text = find_string(config, "chat_template")) return *text;
  const auto* list = find_array(config, "chat_template");
  if (list == nullptr) {
    return invalid_argument(
        fmt::format("{}: {}: chat_template is no text", origin, kTokenizerConfig));
  }
  for (const auto& one : *list) {
    const std::string* name = find_string(one, "name");
    const std::string* text = find_string(one, "template");
    if (name != nullptr && text != nullptr && *name == "default") return *text;
  }
  return invalid_argument(
      fmt::format("{}: {}: chat_template has no template named \"default\"; give the one that is "
                  "meant that name",
                  origin, kTokenizerConfig));
}

// A token that only tokenizer_config.json has would get an id of its own in transformers, and would
// be mere text here: a response that ends with it would never end.
Status check_tokens_agree(const nlohmann::json& config, const Tokenizer& tokenizer,
                          std::string_view origin) {
  const auto bad = [&origin](const std::string& what) {
    return invalid_argument(fmt::format("{}: {}: {}; save both files again with transformers",
                                        origin, kTokenizerConfig, what));
  };
  for (const char* name : {"bos_token", "eos_token"}) {
    const std::string* text = token_text(config, name);
    if (text == nullptr || text->empty() || tokenizer.find(*text)) continue;
    return bad(
        fmt::format("{} is {}, which {} does not have", name, shown_name(*text), kTokenizer));
  }
  const auto* added = find_field(config, "added_tokens_decoder");
  if (added == nullptr || !added->is_object()) return ok();
  for (const auto& [id, token] : added->items()) {
    const std::string* text = find_string(token, "content");
    const auto found = text == nullptr ? std::nullopt : tokenizer.find(*text);
    if (text == nullptr || (found && fmt::format("{}", *found) == id)) continue;
    return bad(fmt::format("added_tokens_decoder says that {} is token {}, {} does not",
                           shown_name(*text), shown_name(id), kTokenizer));
  }
  return ok();
}

Result<PolicyText> parse_files(Files files, const TransformerConfig& config,
                               std::string_view origin) {
  const auto tokenizer_config = object_in(files, kTokenizerConfig, origin);
  if (!tokenizer_config) return tokenizer_config.error();
  const auto generation = object_in(files, kGenerationConfig, origin);
  if (!generation) return generation.error();
  const auto special_tokens = object_in(files, kSpecialTokens, origin);
  if (!special_tokens) return special_tokens.error();

  PolicyText text;
  for (const char* name : {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token",
                           "cls_token", "mask_token"}) {
    const std::string* token = token_text(*tokenizer_config, name);
    if (token == nullptr) token = token_text(*special_tokens, name);
    if (token != nullptr) text.special_tokens[name] = *token;
  }
  if (const std::string* name = find_string(*tokenizer_config, kOwnTemplate)) {
    text.prompt_template = *name;
  }
  const auto jinja = files.find(kChatTemplate);
  if (jinja != files.end()) {
    text.chat_template = jinja->second;
  } else {
    auto chat_template = chat_template_in(*tokenizer_config, origin);
    if (!chat_template) return chat_template.error();
    text.chat_template = std::move(*chat_template);
  }

  const auto found = files.find(kTokenizer);
  if (found == files.end()) {
    const std::string* name = find_string(*tokenizer_config, kOwnTokenizer);
    if (name != nullptr && *name != "bytes") {
      return invalid_argument(
          fmt::format("{}: {}: {} = \"{}\" is not a tokenizer of this program; there is: bytes",
                      origin, kTokenizerConfig, kOwnTokenizer, *name));
    }
    text.files = std::move(files);
    return text;
  }
  auto tokenizer = Tokenizer::parse(found->second, fmt::format("{}: {}", origin, kTokenizer));
  if (!tokenizer) return tokenizer.error();
  if (Status s = check_tokens_agree(*tokenizer_config, *tokenizer, origin); !s) return s.error();
  auto stop = end_ids(*generation, origin);
  if (!stop) return stop.error();
  SpecialIds ids{.bos = named_token(*tokenizer_config, "bos_token", *tokenizer),
                 .eos = named_token(*tokenizer_config, "eos_token", *tokenizer),
                 .pad = named_token(*tokenizer_config, "pad_token", *tokenizer),
                 .stop = std::move(*stop)};
  if (ids.stop.empty()) ids.stop = config.eos_token_ids();
  if (!ids.bos && config.bos_token_id >= 0) ids.bos = config.bos_token_id;
  if (!ids.eos && !ids.stop.empty()) ids.eos = ids.stop.front();
  auto made = tokenizer->with(std::move(ids));
  if (!made) return invalid_argument(fmt::format("{}: {}", origin, made.error().message));
  text.tokenizer = std::move(*made);
  text.files = std::move(files);
  return text;
}

// The arrays and numbers of tokenizer.ggml.*.
GgufVocabulary vocabulary_of(const Gguf& file) {
  GgufVocabulary vocabulary;
  const auto text = [&](const char* key, std::string& to) {
    if (const auto value = file.text(key)) to = std::string(*value);
  };
  const auto texts = [&](const char* key, std::vector<std::string>& to) {
    const GgufValue* value = file.value(key);
    if (value == nullptr) return;
    if (const auto all = value->texts()) to.assign(all->begin(), all->end());
  };
  const auto number = [&](const char* key, std::optional<int64_t>& to) {
    if (const GgufValue* value = file.value(key)) to = value->integer();
  };
  text("tokenizer.ggml.model", vocabulary.model);
  text("tokenizer.ggml.pre", vocabulary.pre);
  texts("tokenizer.ggml.tokens", vocabulary.tokens);
  texts("tokenizer.ggml.merges", vocabulary.merges);
  if (const GgufValue* value = file.value("tokenizer.ggml.token_type")) {
    if (const auto all = value->integers()) {
      vocabulary.token_type.assign(all->begin(), all->end());
    }
  }
  number("tokenizer.ggml.bos_token_id", vocabulary.bos_token_id);
  number("tokenizer.ggml.eos_token_id", vocabulary.eos_token_id);
  number("tokenizer.ggml.eot_token_id", vocabulary.eot_token_id);
  number("tokenizer.ggml.padding_token_id", vocabulary.padding_token_id);
  if (const GgufValue* value = file.value("tokenizer.ggml.add_bos_token")) {
    vocabulary.add_bos_token = value->boolean();
  }
  return vocabulary;
}

}  // namespace

Result<PolicyText> load_policy_text(const std::string& folder, const TransformerConfig& config) {
  if (is_file(folder)) {
    const auto file = GgufFile::open(folder);
    if (!file) return file.error();
    return gguf_policy_text(file->contents(), config, folder);
  }
  Files files;
  for (const char* name : kFiles) {
    const std::string path = folder + "/" + name;
    if (!is_file(path)) continue;
    auto text = read_file(path, name == kTokenizer ? kTokenizerBytesMax : kFileBytesMax);
    if (!text) return text.error();
    files.emplace(name, std::move(*text));
  }
  for (const char* other : {"tokenizer.model", "vocab.json"}) {
    if (files.contains(kTokenizer) || !is_file(folder + "/" + other)) continue;
    return invalid_argument(fmt::format(
        "{}: has {} but no {}; transformers writes it: python -c \"import transformers; "
        "transformers.AutoTokenizer.from_pretrained('{}').save_pretrained('{}')\"",
        folder, other, kTokenizer, folder, folder));
  }
  return parse_files(std::move(files), config, folder);
}

Result<PolicyText> gguf_policy_text(const Gguf& file, const TransformerConfig& config,
                                    std::string_view origin) {
  if (file.value("tokenizer.ggml.model") == nullptr) return PolicyText{};  // Weights alone.
  const GgufVocabulary vocabulary = vocabulary_of(file);
  auto tokenizer = to_tokenizer_json(vocabulary, origin);
  if (!tokenizer) return tokenizer.error();
  Json roles{{"tokenizer_class", "PreTrainedTokenizerFast"},
             {"clean_up_tokenization_spaces", false},
             {"model_max_length", config.max_position_embeddings}};
  Json generation = Json::object();
  const auto is_token = [&](const std::optional<int64_t>& id) {
    return id && *id >= 0 && static_cast<uint64_t>(*id) < vocabulary.tokens.size();
  };
  const auto role = [&](const char* name, const std::optional<int64_t>& id) {
    if (is_token(id)) roles[name] = vocabulary.tokens[static_cast<size_t>(*id)];
  };
  role("bos_token", vocabulary.bos_token_id);
  role("eos_token", vocabulary.eos_token_id);
  role("pad_token", vocabulary.padding_token_id);
  if (is_token(vocabulary.bos_token_id)) generation["bos_token_id"] = *vocabulary.bos_token_id;
  Json ends = Json::array();
  for (const auto& id : {vocabulary.eos_token_id, vocabulary.eot_token_id}) {
    if (is_token(id) && (ends.empty() || ends[0] != *id)) ends.push_back(*id);
  }
  if (!ends.empty()) generation["eos_token_id"] = ends.size() == 1 ? ends[0] : ends;
  if (is_token(vocabulary.padding_token_id)) {
    generation["pad_token_id"] = *vocabulary.padding_token_id;
  }
  if (const auto chat = file.text("tokenizer.chat_template")) {
    roles["chat_template"] = std::string(*chat);
  }
  const auto dump = [](const Json& json) {
    return to_text(json, {.indent = 2, .replaces_invalid = true}) + "\n";
  };
  return parse_files({{kTokenizer, std::move(*tokenizer)},
                      {kTokenizerConfig, dump(roles)},
                      {kGenerationConfig, dump(generation)}},
                     config, origin);
}

Files files_of(const PolicyText& text) {
  Files files = text.files;
  Json config = Json::object();
  if (const auto found = files.find(kTokenizerConfig); found != files.end()) {
    config = parse_ordered_json(found->second);  // Was read before.
  }
  if (text.tokenizer.is_bytes()) config[kOwnTokenizer] = "bytes";
  if (!text.prompt_template.empty()) config[kOwnTemplate] = text.prompt_template;
  files[kTokenizerConfig] = to_text(config, {.indent = 2}) + "\n";
  const std::vector<int32_t>& stop = text.tokenizer.special().stop;
  if (text.tokenizer.is_bytes() || stop.empty()) return files;
  // What ends a response of this policy now, for whoever else lets it generate.
  Json generation = Json::object();
  if (const auto found = files.find(kGenerationConfig); found != files.end()) {
    generation = parse_ordered_json(found->second);
  }
  generation["eos_token_id"] = stop.size() == 1 ? Json(stop[0]) : Json(stop);
  files[kGenerationConfig] = to_text(generation, {.indent = 2}) + "\n";
  return files;
}

}  // namespace troupe::model

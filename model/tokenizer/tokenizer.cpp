#include "model/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/unicode.h"
#include "schemas/check.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

constexpr size_t kTextBytesMax = size_t{1} << 28;
constexpr size_t kAffixMax = 16;

// How the texts of tokens become one text.
struct Decoder {
  bool is_byte_level = false;
  bool has_byte_fallback = false;
  std::vector<std::pair<std::string, std::string>> replace{};
  std::string strip{};   // This character is taken from the beginning,
  size_t strip_max = 0;  // so often at most.
};

Status read_decoder(const Json& json, Decoder& decoder, bool& is_fused, int depth) {
  const std::string type = type_of(json);
  const Error unsupported = invalid_argument(
      fmt::format("decoder {} is not supported here; there are ByteLevel, and Replace, "
                  "ByteFallback, Fuse, Strip in this order",
                  shown_name(type)));
  if (type == "Sequence") {
    const Json* parts = find_array(json, "decoders");
    if (parts == nullptr || parts->size() > 16 || depth > 2) return unsupported;
    for (const Json& part : *parts) {
      if (Status status = read_decoder(part, decoder, is_fused, depth + 1); !status) return status;
    }
    return ok();
  }
  if (type == "Fuse") {
    is_fused = true;
    return ok();
  }
  if (type == "Strip") {
    const std::string* content = find_string(json, "content");
    const Json* start = find_field(json, "start");
    const Json* stop = find_field(json, "stop");
    if (!is_fused || content == nullptr || content->size() != 1 || start == nullptr ||
        !start->is_number_integer() || *start < 0 || *start > 16 ||
        (stop != nullptr && *stop != 0)) {
      return unsupported;
    }
    decoder.strip = *content;
    decoder.strip_max = start->get<size_t>();
    return ok();
  }
  if (is_fused) return unsupported;
  if (type == "ByteLevel") {
    decoder.is_byte_level = true;
    return ok();
  }
  if (type == "ByteFallback") {
    decoder.has_byte_fallback = true;
    return ok();
  }
  if (type == "Replace" && !decoder.has_byte_fallback) {
    const Json* pattern = find_field(json, "pattern");
    const std::string* from = pattern == nullptr ? nullptr : find_string(*pattern, "String");
    const std::string* to = find_string(json, "content");
    if (from == nullptr || from->empty() || from->size() > 16 || to == nullptr || to->size() > 16) {
      return unsupported;
    }
    decoder.replace.emplace_back(*from, *to);
    return ok();
  }
  return unsupported;
}

// <0x41> is a byte where there is a fallback.
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  int byte = 0;
  for (char c : token.substr(3, 2)) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (c < 'A' || c > 'F')) return std::nullopt;
    byte = byte * 16 + (is_digit ? c - '0' : c - 'A' + 10);
  }
  return static_cast<char>(byte);
}

// The ids that a post-processor puts around one text.
Status read_post_processor(const Json& json, std::vector<int32_t>& prefix,
                           std::vector<int32_t>& suffix, int depth) {
  if (json.is_null()) return ok();
  const std::string type = type_of(json);
  if (type == "ByteLevel") return ok();
  if (type == "Sequence" && depth < 3) {
    const Json* parts = find_array(json, "processors");
    if (parts == nullptr) return invalid_argument("post_processor Sequence has no processors");
    for (const Json& part : *parts) {
      if (Status s = read_post_processor(part, prefix, suffix, depth + 1); !s) return s;
    }
    return ok();
  }
  if (type != "TemplateProcessing") {
    return invalid_argument(
        fmt::format("post_processor {} is not supported; there are ByteLevel, TemplateProcessing "
                    "and Sequence",
                    shown_name(type)));
  }
  const Error damaged = invalid_argument("post_processor TemplateProcessing cannot be read");
  const Json* single = find_array(json, "single");
  const Json* tokens = find_field(json, "special_tokens");
  if (single == nullptr) return damaged;
  bool is_after = false;
  for (const Json& piece : *single) {
    if (piece.contains("Sequence")) {
      is_after = true;
      continue;
    }
    const Json* special = find_field(piece, "SpecialToken");
    const std::string* name = special == nullptr ? nullptr : find_string(*special, "id");
    const Json* token =
        name == nullptr || tokens == nullptr ? nullptr : find_field(*tokens, name->c_str());
    const Json* ids = token == nullptr ? nullptr : find_array(*token, "ids");
    auto& to = is_after ? suffix : prefix;
    if (ids == nullptr || ids->size() + to.size() > kAffixMax) return damaged;
    for (const Json& id : *ids) {
      if (!id.is_number_integer() || id < 0 || id > INT32_MAX) return damaged;
      to.push_back(id.get<int32_t>());
    }
  }
  return ok();
}

}  // namespace

struct Tokenizer::Vocabulary {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedTokens added;
  Bpe bpe;
  Decoder decoder;
  // By id; nothing for ids that are no token.
  std::vector<std::optional<std::string>> texts{};
};

// One text at a time.
class Tokenizer::Encoder {
 public:
  explicit Encoder(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), splitter_(vocabulary.pre_tokenizer) {}

  Result<std::vector<int32_t>> run(std::span<const TextPart> parts) {
    std::string joined;
    std::string_view text = parts.size() == 1 ? parts[0].text : std::string_view();
    if (parts.size() > 1) {
      for (const TextPart& part : parts) joined += part.text;
      text = joined;
    }
    if (text.size() > kTextBytesMax) return invalid_argument("a text is too long to be encoded");
    size_t part_begin = 0;
    for (const TextPart& part : parts) {
      const size_t part_end = part_begin + part.text.size();
      if (part.is_trusted || vocabulary_.added.has_harmless()) {
        if (Status s = find_added(text, part_begin, part_end, part.is_trusted); !s) {
          return s.error();
        }
      }
      part_begin = part_end;
    }
    if (Status s = encode_run(text.substr(done_)); !s) return s.error();
    return std::move(ids_);
  }

 private:
  Status find_added(std::string_view text, size_t begin, size_t end, bool is_trusted) {
    size_t at = std::max(begin, done_);
    while (at < end) {
      const auto* token = vocabulary_.added.leading(text.substr(at, end - at), !is_trusted);
      if (token == nullptr) {
        ++at;
        continue;
      }
      size_t from = at, to = at + token->text.size();
      at = to;
      if (token->is_single_word &&
          (ends_with_word(text.substr(0, from)) || begins_with_word(text.substr(to)))) {
        continue;
      }
      if (token->takes_left_space) {
        from = std::max(done_, trailing_white_space(text.substr(0, from)));
      }
      if (token->takes_right_space) to += leading_white_space(text.substr(to));
      if (Status s = encode_run(text.substr(done_, from - done_)); !s) return s;
      ids_.push_back(token->id);
      done_ = to;
      at = std::max(at, to);
    }
    return ok();
  }

  // Text between added tokens.
  Status encode_run(std::string_view text) {
    if (text.empty()) return ok();
    std::string normal;
    if (!vocabulary_.normalizer.is_none()) {
      normal = vocabulary_.normalizer.apply(text);
      text = normal;
    }
    // What is no UTF-8 is a word by itself.
    while (!text.empty()) {
      const size_t valid = valid_utf8_prefix(text);
      if (Status s = splitter_.split(text.substr(0, valid), word_); !s) return s;
      text.remove_prefix(valid);
      if (text.empty()) break;
      word_(text.substr(0, 1));
      text.remove_prefix(1);
    }
    return ok();
  }

  const Vocabulary& vocabulary_;
  WordSplitter splitter_;
  Bpe::Workspace workspace_{};
  std::vector<int32_t> ids_{};
  size_t done_ = 0;  // Everything before it is encoded.
  const std::function<void(std::string_view)> word_ = [this](std::string_view word) {
    vocabulary_.bpe.encode(word, workspace_, ids_);
  };
};

Tokenizer::Tokenizer()
    : special_{.bos = ByteTokenizer::kBos,
               .eos = ByteTokenizer::kEos,
               .pad = ByteTokenizer::kPad,
               .stop = {ByteTokenizer::kEos}},
      prefix_{ByteTokenizer::kBos} {}

Result<Tokenizer> Tokenizer::parse(std::string_view text, std::string_view origin) {
  const auto refused = [&](const Error& error) {
    return invalid_argument(fmt::format("{}: {}", origin, error.message));
  };
  const Json json = parse_json(text, kFileDepthMax);
  if (!json.is_object()) return refused(invalid_argument("is not a JSON object"));
  const auto field = [&json](const char* key) {
    const Json* found = find_field(json, key);
    return found == nullptr ? Json() : *found;
  };
  auto normalizer = Normalizer::parse(field("normalizer"));
  if (!normalizer) return refused(normalizer.error());
  auto pre_tokenizer = PreTokenizer::parse(field("pre_tokenizer"));
  if (!pre_tokenizer) return refused(pre_tokenizer.error());
  auto added = AddedTokens::parse(field("added_tokens"));
  if (!added) return refused(added.error());
  Bpe::Options options{.is_byte_level = pre_tokenizer->is_byte_level()};
  for (const AddedToken& token : added->all()) {
    if (token.is_special) options.reserved.insert(token.id);
  }
  static const Json none;
  const Json* model = find_field(json, "model");
  auto bpe = Bpe::parse(model == nullptr ? none : *model, options);
  if (!bpe) return refused(bpe.error());
  Decoder decoder;
  bool is_fused = false;
  if (const Json* found = find_field(json, "decoder")) {
    if (Status s = read_decoder(*found, decoder, is_fused, 0); !s) return refused(s.error());
  }
  if (decoder.is_byte_level != options.is_byte_level ||
      (decoder.is_byte_level && !decoder.replace.empty())) {
    return refused(invalid_argument("pre_tokenizer and decoder do not agree about ByteLevel"));
  }
  Tokenizer made;
  made.special_ = {};
  made.prefix_.clear();
  if (Status s = read_post_processor(field("post_processor"), made.prefix_, made.suffix_, 0); !s) {
    return refused(s.error());
  }

  std::vector<std::optional<std::string>> texts(static_cast<size_t>(bpe->vocabulary_size()));
  for (int32_t id = 0; id < bpe->vocabulary_size(); ++id) {
    if (bpe->spelling(id) == nullptr) continue;
    std::string token = bpe->text(id);
    for (const auto& [from, to] : decoder.replace) token = replaced(token, from, to);
    const auto byte = decoder.has_byte_fallback ? fallback_byte(token) : std::nullopt;
    texts[static_cast<size_t>(id)] = byte ? std::string(1, *byte) : std::move(token);
  }
  for (const AddedToken& token : added->all()) {
    const auto at = static_cast<size_t>(token.id);
    const std::string* spelling = bpe->spelling(token.id);
    const auto id = bpe->find(token.text);
    if ((spelling != nullptr && *spelling != token.text) || (id && *id != token.id)) {
      return refused(invalid_argument(
          fmt::format("added_tokens and vocab do not agree about {}", shown_name(token.text))));
    }
    if (at >= texts.size()) texts.resize(at + 1);
    texts[at] = token.text;
  }
  made.vocabulary_ =
      std::make_shared<const Vocabulary>(Vocabulary{.normalizer = std::move(*normalizer),
                                                    .pre_tokenizer = std::move(*pre_tokenizer),
                                                    .added = std::move(*added),
                                                    .bpe = std::move(*bpe),
                                                    .decoder = std::move(decoder),
                                                    .texts = std::move(texts)});
  for (const auto* affix : {&made.prefix_, &made.suffix_}) {
    for (int32_t id : *affix) {
      if (!made.is_valid(id)) {
        return refused(invalid_argument("post_processor adds an id that is no token"));
      }
    }
  }
  return made;
}

Result<Tokenizer> Tokenizer::with(SpecialIds ids) const {
  std::vector<int32_t> all = ids.stop;
  for (const auto& id : {ids.bos, ids.eos, ids.pad}) {
    if (id) all.push_back(*id);
  }
  for (int32_t id : all) {
    if (!is_valid(id)) {
      return invalid_argument(fmt::format("{} is no token of the vocabulary", id));
    }
  }
  Tokenizer made = *this;
  made.special_ = std::move(ids);
  return made;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text) const {
  const TextPart part{.text = text};
  return encode(std::span(&part, 1));
}

Result<std::vector<int32_t>> Tokenizer::encode_markup(std::string_view text) const {
  const TextPart part{.text = text, .is_trusted = true};
  return encode(std::span(&part, 1));
}

Result<std::vector<int32_t>> Tokenizer::encode(std::span<const TextPart> parts) const {
  if (vocabulary_) return Encoder(*vocabulary_).run(parts);
  std::vector<int32_t> ids;
  for (const TextPart& part : parts) {
    const auto more = part.is_trusted ? ByteTokenizer::encode_markup(part.text)
                                      : ByteTokenizer::encode(part.text);
    ids.insert(ids.end(), more.begin(), more.end());
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, Special special) const {
  std::string text;
  const auto is_hidden = [&](int32_t id) {
    if (special == Special::kShown) return false;
    const AddedToken* token = vocabulary_->added.find(id);
    return token != nullptr && token->is_special;
  };
  if (!vocabulary_) {
    for (int32_t id : ids) {
      if (!is_valid(id)) continue;
      if (special == Special::kShown && id == ByteTokenizer::kPad) text += "<pad>";
      if (special == Special::kShown && id == ByteTokenizer::kBos) text += "<bos>";
      if (special == Special::kShown && id == ByteTokenizer::kEos) text += "<eos>";
      text += ByteTokenizer::decode(std::span(&id, 1));
    }
    return text;
  }
  for (int32_t id : ids) {
    if (is_valid(id) && !is_hidden(id)) text += *vocabulary_->texts[static_cast<size_t>(id)];
  }
  const Decoder& decoder = vocabulary_->decoder;
  size_t stripped = 0;
  while (stripped < decoder.strip_max && stripped < text.size() &&
         text[stripped] == decoder.strip[0]) {
    ++stripped;
  }
  return text.substr(stripped);
}

int32_t Tokenizer::vocabulary_size() const {
  return vocabulary_ ? static_cast<int32_t>(vocabulary_->texts.size())
                     : ByteTokenizer::kVocabularySize;
}

bool Tokenizer::is_valid(int32_t id) const {
  if (id < 0 || id >= vocabulary_size()) return false;
  return !vocabulary_ || vocabulary_->texts[static_cast<size_t>(id)].has_value();
}

std::optional<int32_t> Tokenizer::find_marker(std::string_view token) const {
  if (!vocabulary_) return find(token);
  const AddedToken* added = vocabulary_->added.find(token);
  return added != nullptr && added->is_special ? std::optional(added->id) : std::nullopt;
}

std::optional<int32_t> Tokenizer::find(std::string_view token) const {
  if (vocabulary_) {
    const AddedToken* added = vocabulary_->added.find(token);
    return added != nullptr ? added->id : vocabulary_->bpe.find(token);
  }
  if (token == "<pad>") return ByteTokenizer::kPad;
  if (token == "<bos>") return ByteTokenizer::kBos;
  if (token == "<eos>") return ByteTokenizer::kEos;
  const auto ids = ByteTokenizer::encode_markup(token);
  return ids.size() == 1 ? std::optional(ids[0]) : std::nullopt;
}

}  // namespace troupe::model

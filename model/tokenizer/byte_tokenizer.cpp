#include "model/tokenizer/byte_tokenizer.h"

#include "schemas/check.h"

namespace troupe::model {
namespace {

struct Tag {
  std::string_view text;
  int32_t id;
};
constexpr Tag kTags[] = {{"<think>", ByteTokenizer::kThinkOpen},
                         {"</think>", ByteTokenizer::kThinkClose},
                         {"<answer>", ByteTokenizer::kAnswerOpen},
                         {"</answer>", ByteTokenizer::kAnswerClose}};

int32_t byte_id(char c) { return static_cast<unsigned char>(c); }

// The tag that `text` begins with, or null.
const Tag* leading_tag(std::string_view text) {
  for (const Tag& tag : kTags) {
    if (text.starts_with(tag.text)) return &tag;
  }
  return nullptr;
}

}  // namespace

std::vector<int32_t> ByteTokenizer::encode(std::string_view text) {
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  for (char c : text) ids.push_back(byte_id(c));
  return ids;
}

std::vector<int32_t> ByteTokenizer::encode_markup(std::string_view text) {
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  while (!text.empty()) {
    const Tag* tag = leading_tag(text);
    ids.push_back(tag ? tag->id : byte_id(text[0]));
    text.remove_prefix(tag ? tag->text.size() : 1);
  }
  return ids;
}

std::string ByteTokenizer::decode(std::span<const int32_t> ids) {
  std::string text;
  text.reserve(ids.size());
  for (int32_t id : ids) {
    TROUPE_CHECK(id >= 0 && id < kVocabularySize);
    if (id < 256) text.push_back(static_cast<char>(id));
    for (const Tag& tag : kTags) {
      if (tag.id == id) text += tag.text;
    }
  }
  return text;
}

}  // namespace troupe::model

#include "model/tokenizer/added_tokens.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/unicode.h"

namespace troupe::model {
namespace {

constexpr size_t kTokensMax = 1 << 16;
constexpr size_t kTextBytesMax = 512;
constexpr int32_t kIdMax = 1 << 20;

uint64_t edge(uint32_t node, char byte) {
  return static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
}

}  // namespace

Result<AddedTokens> AddedTokens::parse(const nlohmann::json& json) {
  AddedTokens made;
  if (json.is_null()) return made;
  if (!json.is_array() || json.size() > kTokensMax) {
    return invalid_argument("added_tokens is no list, or too long");
  }
  for (const auto& one : json) {
    const std::string* text = find_string(one, "content");
    const auto* id = find_field(one, "id");
    if (text == nullptr || text->empty() || text->size() > kTextBytesMax || id == nullptr ||
        !id->is_number_integer() || *id < 0 || *id >= kIdMax) {
      return invalid_argument("added_tokens has an entry without a content or an id in bounds");
    }
    AddedToken token{.id = id->get<int32_t>(),
                     .text = *text,
                     .is_special = find_bool(one, "special", false),
                     .is_single_word = find_bool(one, "single_word", false),
                     .takes_left_space = find_bool(one, "lstrip", false),
                     .takes_right_space = find_bool(one, "rstrip", false)};
    token.is_harmless = !token.is_special && leading_white_space(*text) == text->size();
    const size_t index = made.tokens_.size();
    if (!made.by_id_.emplace(token.id, index).second ||
        !made.by_text_.emplace(token.text, index).second) {
      return invalid_argument(
          fmt::format("added_tokens has {} or its id twice", shown_name(token.text)));
    }
    uint32_t node = 0;
    for (char byte : token.text) {
      const auto next = static_cast<uint32_t>(made.edges_.size() + 1);
      node = made.edges_.emplace(edge(node, byte), next).first->second;
    }
    made.ends_[node] = index;
    made.has_harmless_ = made.has_harmless_ || token.is_harmless;
    made.tokens_.push_back(std::move(token));
  }
  return made;
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find(std::string_view text) const {
  const auto found = by_text_.find(text);
  return found == by_text_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::leading(std::string_view text, bool harmless_only) const {
  const AddedToken* longest = nullptr;
  uint32_t node = 0;
  for (char byte : text) {
    const auto found = edges_.find(edge(node, byte));
    if (found == edges_.end()) break;
    node = found->second;
    const auto end = ends_.find(node);
    if (end == ends_.end()) continue;
    const AddedToken& token = tokens_[end->second];
    if (token.is_harmless || !harmless_only) longest = &token;
  }
  return longest;
}

}  // namespace troupe::model

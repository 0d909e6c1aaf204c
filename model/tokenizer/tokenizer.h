// Between text and token ids, with any vocabulary: bytes (byte_tokenizer.h), or byte pair encoding
// as a Hugging Face tokenizer.json or a GGUF file describes it.
//
// Text that somebody else wrote can never become a control token: what spells one there is encoded
// as the text that it is. Only what this program trusts (templates, demonstrations) has its markers
// recognised.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

// A piece of text and whether markers in it are tokens.
struct TextPart {
  std::string_view text{};
  bool is_trusted = false;
};

// The ids that have a role of their own.
struct SpecialIds {
  std::optional<int32_t> bos{};
  std::optional<int32_t> eos{};
  std::optional<int32_t> pad{};
  std::vector<int32_t> stop{};  // Any of them ends a response.

  bool operator==(const SpecialIds&) const = default;
};

// A value: copies share what does not change.
class Tokenizer {
 public:
  // The byte tokenizer.
  Tokenizer();

  // `text` is a whole tokenizer.json. kInvalidArgument, naming `origin` and in one line what of it
  // is damaged or not supported. Roles are what the file itself says: nothing but the tokens that
  // its post-processor puts around a text.
  static Result<Tokenizer> parse(std::string_view text, std::string_view origin);

  // The same with other roles. kInvalidArgument when an id is no token.
  Result<Tokenizer> with(SpecialIds ids) const;

  bool is_bytes() const { return !vocabulary_; }

  // Tokens of untrusted text; of trusted text, with its markers; of parts as one text, so that a
  // word may reach over the end of a part. kInvalidArgument when the text is too long, or the
  // vocabulary's pattern needs too much work on it.
  Result<std::vector<int32_t>> encode(std::string_view text) const;
  Result<std::vector<int32_t>> encode_markup(std::string_view text) const;
  Result<std::vector<int32_t>> encode(std::span<const TextPart> parts) const;

  enum class Special : uint8_t { kSkipped, kShown };
  // Bytes, which may be no valid UTF-8: the policy chooses them. Special tokens vanish or are
  // shown; ids that are no token vanish.
  std::string decode(std::span<const int32_t> ids, Special special = Special::kSkipped) const;

  // The largest id and 1. A model may have more rows, which are no text.
  int32_t vocabulary_size() const;
  bool is_valid(int32_t id) const;
  // A marker, or a token as the file spells it.
  std::optional<int32_t> find(std::string_view token) const;
  // A marker only: what trusted text can spell and no other text.
  std::optional<int32_t> find_marker(std::string_view token) const;

  const SpecialIds& special() const { return special_; }
  // What is put before and after a text that is no conversation.
  const std::vector<int32_t>& prefix() const { return prefix_; }
  const std::vector<int32_t>& suffix() const { return suffix_; }

 private:
  struct Vocabulary;
  class Encoder;

  std::shared_ptr<const Vocabulary> vocabulary_{};  // None: bytes.
  SpecialIds special_{};
  std::vector<int32_t> prefix_{};
  std::vector<int32_t> suffix_{};
};

}  // namespace troupe::model

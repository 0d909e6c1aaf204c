// The tokenizer that needs no file: every byte is a token, and so is each tag of R1's format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::model {

class ByteTokenizer {
 public:
  // 0 .. 255 are bytes.
  static constexpr int32_t kPad = 256;
  static constexpr int32_t kBos = 257;
  static constexpr int32_t kEos = 258;
  static constexpr int32_t kThinkOpen = 259;
  static constexpr int32_t kThinkClose = 260;
  static constexpr int32_t kAnswerOpen = 261;
  static constexpr int32_t kAnswerClose = 262;
  // A multiple of 16 for the kernels; the ids from 263 on are reserved.
  static constexpr int32_t kVocabularySize = 272;

  // Text that somebody else wrote: bytes only, so that "</think>" in it stays eight characters and
  // cannot act as a control token.
  static std::vector<int32_t> encode(std::string_view text);

  // Text that we or the policy wrote (templates, demonstrations, responses): <think>, </think>,
  // <answer> and </answer> become their tokens.
  static std::vector<int32_t> encode_markup(std::string_view text);

  // Tags become their text; pad, bos, eos and reserved ids vanish. Ids are below kVocabularySize,
  // which is checked. The bytes may be no valid UTF-8: the policy chooses them.
  static std::string decode(std::span<const int32_t> ids);
};

}  // namespace troupe::model

// A vocabulary as the arrays of a GGUF file carry it. It is put into the form of a tokenizer.json,
// so that there is one reader, and a file to save with weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

// The metadata tokenizer.ggml.*, by the last part of their names.
struct GgufVocabulary {
  std::string model{};                // "gpt2": byte-level byte pair encoding.
  std::string pre{};                  // The family that the pre-tokeniser is of.
  std::vector<std::string> tokens{};  // By id.
  std::vector<int32_t> token_type{};  // By id; empty: all are normal.
  std::vector<std::string> merges{};  // "a b", the first one learned first.
  std::optional<int64_t> bos_token_id{};
  std::optional<int64_t> eos_token_id{};
  std::optional<int64_t> eot_token_id{};  // Ends a turn, where that is another token.
  std::optional<int64_t> padding_token_id{};
  std::optional<bool> add_bos_token{};
};

// kInvalidArgument, naming `origin`, for another model, an unknown `pre` (the known ones are
// listed), or arrays that do not fit together.
Result<std::string> to_tokenizer_json(const GgufVocabulary& vocabulary, std::string_view origin);

}  // namespace troupe::model

// Tokens that are recognised in text before it is cut into words: markers such as <|im_start|>.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

struct AddedToken {
  int32_t id = 0;
  std::string text{};
  bool is_special = false;      // Never part of what was said: bos, eos, ends of turns.
  bool is_harmless = false;     // White space, which nobody can forge anything with.
  bool is_single_word = false;  // Not beside a letter or digit.
  bool takes_left_space = false;
  bool takes_right_space = false;
};

class AddedTokens {
 public:
  // `json` is "added_tokens" of the file. kInvalidArgument for damage.
  static Result<AddedTokens> parse(const nlohmann::json& json);

  const std::vector<AddedToken>& all() const { return tokens_; }
  const AddedToken* find(int32_t id) const;
  const AddedToken* find(std::string_view text) const;
  bool has_harmless() const { return has_harmless_; }

  // The longest token that `text` begins with, or null.
  const AddedToken* leading(std::string_view text, bool harmless_only) const;

 private:
  std::vector<AddedToken> tokens_{};
  std::unordered_map<int32_t, size_t> by_id_{};
  std::map<std::string, size_t, std::less<>> by_text_{};
  // By node and byte; node 0 is the root.
  std::unordered_map<uint64_t, uint32_t> edges_{};
  std::unordered_map<uint32_t, size_t> ends_{};
  bool has_harmless_ = false;
};

}  // namespace troupe::model

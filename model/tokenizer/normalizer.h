// What is done to text before it is cut into words: the normalisers of tokenizer.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

class Normalizer {
 public:
  // `json` is "normalizer" of the file, null for none. kInvalidArgument for what is not supported:
  // all but NFC, Prepend, Replace of a plain text and a Sequence of them.
  static Result<Normalizer> parse(const nlohmann::json& json);

  bool is_none() const { return steps_.empty(); }
  // `text` is not empty; what of it is no UTF-8 stays.
  std::string apply(std::string_view text) const;

 private:
  enum class Kind { kNfc, kPrepend, kReplace };
  struct Step {
    Kind kind = Kind::kNfc;
    std::string from{};
    std::string to{};
  };
  Status add(const nlohmann::json& json, int depth);

  std::vector<Step> steps_{};
};

// `text` with each `from`, which is not empty, as `to`.
std::string replaced(std::string_view text, std::string_view from, std::string_view to);

}  // namespace troupe::model

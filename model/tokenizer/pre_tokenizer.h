// How text is cut into words before tokens are merged inside of each: the pre-tokenisers of
// tokenizer.json.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "model/tokenizer/regex.h"
#include "schemas/result.h"

namespace troupe::model {

class PreTokenizer {
 public:
  // What becomes of the pieces that an expression finds.
  enum class Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

  // `json` is "pre_tokenizer" of the file, null for none. kInvalidArgument for what is not
  // supported: all but ByteLevel, Split, Digits and a Sequence of them.
  static Result<PreTokenizer> parse(const nlohmann::json& json);

  // Whether words are sequences of bytes, and not of characters.
  bool is_byte_level() const { return is_byte_level_; }

 private:
  friend class WordSplitter;
  struct Step {
    std::shared_ptr<const Regex> pattern{};  // None: only `adds_space`.
    Behavior behavior = Behavior::kIsolated;
    bool is_inverse = false;
    bool adds_space = false;  // Before a piece that does not begin with one.
  };
  Status add(const nlohmann::json& json, int depth);

  std::vector<Step> steps_{};
  bool is_byte_level_ = false;
};

// One thread's splitting; the pre-tokeniser outlives it.
class WordSplitter {
 public:
  explicit WordSplitter(const PreTokenizer& rules);

  // Gives the words of `text`, which is valid UTF-8, in order. kInvalidArgument when a pattern
  // needs too much work on it.
  Status split(std::string_view text, const std::function<void(std::string_view)>& word);

 private:
  bool apply(size_t step, std::string_view text);
  bool cut(size_t step, std::string_view text);

  const PreTokenizer& rules_;
  std::vector<RegexScanner> scanners_{};  // By step.
  const std::function<void(std::string_view)>* word_ = nullptr;
};

}  // namespace troupe::model

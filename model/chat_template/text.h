// Text that remembers, byte by byte, who wrote it: the template or somebody else (a message, a
// tool). However a template cuts and joins texts, what comes out still says so, and only the
// template's own bytes may become control tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/letters.h"

namespace troupe::model::chat_template {

class Text {
 public:
  Text() = default;
  static Text own(std::string_view bytes) { return Text(bytes, kOwn); }
  static Text foreign(std::string_view bytes) { return Text(bytes, kForeign); }

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  bool is_foreign(size_t at) const { return writers_[at] == kForeign; }

  void append(const Text& other);
  void append(const Text& other, size_t begin, size_t count);
  void append_own(std::string_view bytes);
  // Bytes that stand for one of `other`'s at `at`, such as an escape: by the same writer.
  void append_as(std::string_view bytes, const Text& other, size_t at);

  // Keeps is_markup, as everything that cuts a text does.
  Text part(size_t begin, size_t count) const;

  // What the filter `safe` gave: adding to it would escape the other text.
  bool is_markup = false;

 private:
  static constexpr char kOwn = 0;
  static constexpr char kForeign = 1;

  Text(std::string_view bytes, char writer) : bytes_(bytes), writers_(bytes.size(), writer) {}

  std::string bytes_{};
  std::string writers_{};  // One for each byte.
};

// Characters as Python counts them. What is no UTF-8 is a character per byte.
std::vector<size_t> character_begins(std::string_view text);  // And the end of the text.
size_t num_characters(std::string_view text);

// Python's white space, and its line ends, as code points.
bool is_white_space(int32_t point);
bool is_line_end(int32_t point);

// How many bytes at the ends are white space or, where `characters` is given, one of them.
size_t leading_bytes(std::string_view text, const std::string* characters = nullptr);
size_t trailing_bytes(std::string_view text, const std::string* characters = nullptr);

}  // namespace troupe::model::chat_template

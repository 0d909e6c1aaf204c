#include "model/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "model/tokenizer/letters.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

// The last character; negative where it is no valid UTF-8. `size` are its bytes.
int32_t last_character(std::string_view text, size_t& size) {
  size_t begin = text.size();
  while (begin > 0 && text.size() - begin < 4) {
    --begin;
    if ((static_cast<unsigned char>(text[begin]) & 0xC0) != 0x80) break;
  }
  const int32_t point = first_point(text.substr(begin), size);
  if (point >= 0 && begin + size == text.size()) return point;
  size = std::min<size_t>(1, text.size());
  return -1;
}

bool is_white_space(int32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_word(int32_t c) {
  if (c < 0) return false;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

struct Free {
  void operator()(utf8proc_uint8_t* bytes) const { std::free(bytes); }
};

std::string valid_to_nfc(std::string_view text) {
  // Characters below U+0300 are normal and combine with nothing before them.
  const auto is_low = [](char c) { return static_cast<unsigned char>(c) < 0xCC; };
  if (std::all_of(text.begin(), text.end(), is_low)) return std::string(text);
  utf8proc_uint8_t* bytes = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &bytes,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, Free> owned(bytes);
  TROUPE_CHECK(size >= 0);  // It is valid; else there was no memory.
  return std::string(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

}  // namespace

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight = 0;
    if (at + 8 <= text.size()) {
      std::memcpy(&eight, text.data() + at, 8);
      if ((eight & 0x8080808080808080) == 0) {
        at += 8;
        continue;
      }
    }
    size_t size = 0;
    if (first_point(text.substr(at), size) < 0) return at;
    at += size;
  }
  return at;
}

size_t character_bytes(std::string_view text) {
  size_t size = 0;
  static_cast<void>(first_point(text, size));
  return size;
}

std::string to_nfc(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t valid = valid_utf8_prefix(text);
    out += valid_to_nfc(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) break;
    out += text[0];
    text.remove_prefix(1);
  }
  return out;
}

size_t trailing_white_space(std::string_view text) {
  while (!text.empty()) {
    size_t size = 0;
    if (!is_white_space(last_character(text, size))) break;
    text.remove_suffix(size);
  }
  return text.size();
}

size_t leading_white_space(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    size_t size = 0;
    if (!is_white_space(first_point(text.substr(at), size))) break;
    at += size;
  }
  return at;
}

bool ends_with_word(std::string_view text) {
  size_t size = 0;
  return is_word(last_character(text, size));
}

bool begins_with_word(std::string_view text) {
  size_t size = 0;
  return is_word(first_point(text, size));
}

}  // namespace troupe::model

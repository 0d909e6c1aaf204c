#include "model/chat_template/text.h"

#include <utf8proc.h>

#include <algorithm>

namespace troupe::model::chat_template {
namespace {

// Ends of the ranges in which letters have another case of several letters, or one that depends on
// their place in the word.
bool has_special_case(int32_t point) {
  return point == 0xDF || point == 0x130 || point == 0x149 || point == 0x1F0 || point == 0x345 ||
         point == 0x390 || point == 0x3A3 || point == 0x3B0 || point == 0x587 ||
         (point >= 0x1E96 && point <= 0x1E9E) || (point >= 0x1F50 && point <= 0x1FFC) ||
         (point >= 0xFB00 && point <= 0xFB17);
}

bool is_cut(int32_t point, std::string_view character, const std::string* characters) {
  if (characters == nullptr) return is_white_space(point);
  return point >= 0 && characters->find(character) != std::string::npos;
}

}  // namespace

void Text::append(const Text& other) {
  bytes_ += other.bytes_;
  writers_ += other.writers_;
}

void Text::append(const Text& other, size_t begin, size_t count) {
  bytes_.append(other.bytes_, begin, count);
  writers_.append(other.writers_, begin, count);
}

void Text::append_own(std::string_view bytes) {
  bytes_ += bytes;
  writers_.append(bytes.size(), kOwn);
}

void Text::append_as(std::string_view bytes, const Text& other, size_t at) {
  bytes_ += bytes;
  writers_.append(bytes.size(), other.writers_[at]);
}

Text Text::part(size_t begin, size_t count) const {
  Text made;
  made.append(*this, begin, count);
  made.is_markup = is_markup;
  return made;
}

int32_t first_point(std::string_view text, size_t& size) {
  utf8proc_int32_t point = -1;
  const auto count =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size(), 4)), &point);
  size = count > 0 ? static_cast<size_t>(count) : std::min<size_t>(1, text.size());
  return count > 0 ? point : -1;
}

std::vector<size_t> character_begins(std::string_view text) {
  std::vector<size_t> begins;
  size_t size = 0;
  for (size_t at = 0; at < text.size(); at += size) {
    begins.push_back(at);
    first_point(text.substr(at), size);
  }
  begins.push_back(text.size());
  return begins;
}

size_t num_characters(std::string_view text) {
  size_t count = 0;
  size_t size = 0;
  for (size_t at = 0; at < text.size(); at += size) {
    first_point(text.substr(at), size);
    ++count;
  }
  return count;
}

bool is_white_space(int32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_line_end(int32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

size_t leading_bytes(std::string_view text, const std::string* characters) {
  size_t at = 0;
  size_t size = 0;
  while (at < text.size()) {
    const int32_t point = first_point(text.substr(at), size);
    if (!is_cut(point, text.substr(at, size), characters)) break;
    at += size;
  }
  return at;
}

size_t trailing_bytes(std::string_view text, const std::string* characters) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) {
      --begin;
    }
    size_t size = 0;
    int32_t point = first_point(text.substr(begin, end - begin), size);
    if (size != end - begin) {
      begin = end - 1;
      point = -1;
    }
    if (!is_cut(point, text.substr(begin, end - begin), characters)) break;
    end = begin;
  }
  return text.size() - end;
}

bool is_printable(int32_t point) {
  if (point == ' ') return true;
  if (point < 0) return false;
  switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

int32_t to_upper(int32_t point, bool& is_known) {
  if (has_special_case(point)) is_known = false;
  return utf8proc_toupper(point);
}

int32_t to_lower(int32_t point, bool& is_known) {
  if (has_special_case(point)) is_known = false;
  return utf8proc_tolower(point);
}

bool is_letter(int32_t point) {
  if (point < 0) return false;
  const auto category = utf8proc_category(point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

std::string utf8(int32_t point) {
  utf8proc_uint8_t bytes[4];
  const auto count = utf8proc_encode_char(point, bytes);
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(std::max<long>(count, 0))};
}

}  // namespace troupe::model::chat_template

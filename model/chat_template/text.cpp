#include "model/chat_template/text.h"

#include <algorithm>

namespace troupe::model::chat_template {
namespace {

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

}  // namespace troupe::model::chat_template

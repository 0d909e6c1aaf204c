#include "model/tokenizer/letters.h"

#include <utf8proc.h>

#include <algorithm>

namespace troupe::model {
namespace {

// Letters whose other case is several letters, or depends on their place in the word.
bool has_special_case(int32_t point) {
  return point == 0xDF || point == 0x130 || point == 0x149 || point == 0x1F0 || point == 0x345 ||
         point == 0x390 || point == 0x3A3 || point == 0x3B0 || point == 0x587 ||
         (point >= 0x1E96 && point <= 0x1E9E) || (point >= 0x1F50 && point <= 0x1FFC) ||
         (point >= 0xFB00 && point <= 0xFB17);
}

}  // namespace

int32_t first_point(std::string_view text, size_t& size) {
  utf8proc_int32_t point = -1;
  const auto count =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size(), 4)), &point);
  size = count > 0 ? static_cast<size_t>(count) : std::min<size_t>(1, text.size());
  return count > 0 ? point : -1;
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

}  // namespace troupe::model

#include "actors/verifier/unicode_script.h"

#include <algorithm>
#include <iterator>

namespace troupe::actors {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
  Script script;
};

// Letters by block, in order. What is in none of them is no letter.
constexpr Range kRanges[] = {
    {0x0041, 0x005A, Script::kLatin},      {0x0061, 0x007A, Script::kLatin},
    {0x00AA, 0x00AA, Script::kLatin},      {0x00BA, 0x00BA, Script::kLatin},
    {0x00C0, 0x00D6, Script::kLatin},      {0x00D8, 0x00F6, Script::kLatin},
    {0x00F8, 0x02AF, Script::kLatin},      {0x0370, 0x0373, Script::kGreek},
    {0x0376, 0x0377, Script::kGreek},      {0x037B, 0x037D, Script::kGreek},
    {0x0386, 0x0386, Script::kGreek},      {0x0388, 0x03FF, Script::kGreek},
    {0x0400, 0x0481, Script::kCyrillic},   {0x048A, 0x052F, Script::kCyrillic},
    {0x0531, 0x0587, Script::kOther},      {0x05D0, 0x05F2, Script::kHebrew},
    {0x0620, 0x064A, Script::kArabic},     {0x066E, 0x06D3, Script::kArabic},
    {0x06D5, 0x06D5, Script::kArabic},     {0x06EE, 0x06EF, Script::kArabic},
    {0x06FA, 0x06FF, Script::kArabic},     {0x0710, 0x074F, Script::kOther},
    {0x0750, 0x077F, Script::kArabic},     {0x0780, 0x089F, Script::kOther},
    {0x08A0, 0x08C9, Script::kArabic},     {0x0904, 0x0963, Script::kDevanagari},
    {0x0971, 0x097F, Script::kDevanagari}, {0x0980, 0x0DFF, Script::kOther},
    {0x0E01, 0x0E3A, Script::kThai},       {0x0E40, 0x0E4E, Script::kThai},
    {0x0E80, 0x10FF, Script::kOther},      {0x1100, 0x11FF, Script::kHangul},
    {0x1200, 0x1C7F, Script::kOther},      {0x1C80, 0x1C8F, Script::kCyrillic},
    {0x1C90, 0x1CBF, Script::kOther},      {0x1E00, 0x1EFF, Script::kLatin},
    {0x1F00, 0x1FBC, Script::kGreek},      {0x1FC2, 0x1FCC, Script::kGreek},
    {0x1FD0, 0x1FDB, Script::kGreek},      {0x1FE0, 0x1FEC, Script::kGreek},
    {0x1FF2, 0x1FFC, Script::kGreek},      {0x2C60, 0x2C7F, Script::kLatin},
    {0x2C80, 0x2DDF, Script::kOther},      {0x2DE0, 0x2DFF, Script::kCyrillic},
    {0x2E80, 0x2FD5, Script::kHan},        {0x3005, 0x3007, Script::kHan},
    {0x3041, 0x3096, Script::kKana},       {0x309D, 0x309F, Script::kKana},
    {0x30A1, 0x30FA, Script::kKana},       {0x30FC, 0x30FF, Script::kKana},
    {0x3105, 0x312F, Script::kHan},        {0x3131, 0x318E, Script::kHangul},
    {0x31F0, 0x31FF, Script::kKana},       {0x3400, 0x4DBF, Script::kHan},
    {0x4E00, 0x9FFF, Script::kHan},        {0xA000, 0xA63F, Script::kOther},
    {0xA640, 0xA69F, Script::kCyrillic},   {0xA6A0, 0xA6EF, Script::kOther},
    {0xA722, 0xA7FF, Script::kLatin},      {0xA800, 0xA95F, Script::kOther},
    {0xA960, 0xA97C, Script::kHangul},     {0xA980, 0xABFF, Script::kOther},
    {0xAC00, 0xD7FB, Script::kHangul},     {0xF900, 0xFAFF, Script::kHan},
    {0xFB00, 0xFB06, Script::kLatin},      {0xFB1D, 0xFB4F, Script::kHebrew},
    {0xFB50, 0xFDFB, Script::kArabic},     {0xFE70, 0xFEFC, Script::kArabic},
    {0xFF21, 0xFF3A, Script::kLatin},      {0xFF41, 0xFF5A, Script::kLatin},
    {0xFF66, 0xFF9D, Script::kKana},       {0xFFA0, 0xFFDC, Script::kHangul},
    {0x10000, 0x10FFF, Script::kOther},    {0x1B000, 0x1B16F, Script::kKana},
    {0x20000, 0x323AF, Script::kHan},
};

Script script_of(uint32_t code_point) {
  const Range* range =
      std::lower_bound(std::begin(kRanges), std::end(kRanges), code_point,
                       [](const Range& r, uint32_t value) { return r.last < value; });
  return range != std::end(kRanges) && range->first <= code_point ? range->script : Script::kNone;
}

}  // namespace

Character first_character(std::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  constexpr Character kBroken{.script = Script::kInvalid, .num_bytes = 1};
  const unsigned lead = byte(0);
  if (lead < 0x80) return {.script = script_of(lead)};
  const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return kBroken;
  uint32_t code_point = lead & (0x7Fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0u) != 0x80) return kBroken;
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < kFirst[size] || code_point > 0x10FFFF || is_surrogate) return kBroken;
  // Combining accents, and the vowel signs and points of Hebrew and Arabic.
  const bool is_mark = (code_point >= 0x0300 && code_point <= 0x036F) ||
                       (code_point >= 0x0591 && code_point <= 0x05C7) ||
                       (code_point >= 0x064B && code_point <= 0x065F) ||
                       (code_point >= 0x0900 && code_point <= 0x0903) || code_point == 0x200D;
  return {.script = script_of(code_point), .num_bytes = size, .is_mark = is_mark};
}

bool is_unspaced(Script script) {
  return script == Script::kHan || script == Script::kKana || script == Script::kThai;
}

}  // namespace troupe::actors

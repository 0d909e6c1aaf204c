// Which writing a character belongs to. Enough of Unicode to tell languages apart by their letters,
// as a function of the bytes alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe::actors {

enum class Script : uint8_t {
  kNone,  // No letter: digits, punctuation, spaces, symbols.
  kLatin,
  kGreek,
  kCyrillic,
  kHebrew,
  kArabic,
  kDevanagari,
  kThai,
  kHangul,
  kKana,
  kHan,
  kOther,    // A letter of another writing.
  kInvalid,  // A byte that is no UTF-8.
};

struct Character {
  Script script = Script::kNone;
  size_t num_bytes = 1;  // 1 for an invalid byte.
  bool is_mark = false;  // Belongs to the letter before it.
};

// The character that `text`, which is not empty, begins with.
Character first_character(std::string_view text);

// Written without spaces between words, so that each character counts as one.
bool is_unspaced(Script script);

}  // namespace troupe::actors

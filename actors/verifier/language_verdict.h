// The language consistency of DeepSeek-R1: the share of the words of the thoughts that are of the
// wanted language.
#pragma once

#include <cstdint>
#include <string_view>

#include "schemas/verdict.h"

namespace troupe::actors {

// Languages are told apart by their writing, so "en" is any language in Latin letters.
bool is_known_language(std::string_view language);

struct WordCount {
  int64_t wanted = 0;
  int64_t all = 0;
};

// A word is a run of letters of one script; where words are written without spaces (Han, kana,
// Thai) each character is one. Closed code blocks and formulas, LaTeX commands, numbers and single
// Latin or Greek letters, which are names of variables, do not count; a run of bytes that are no
// UTF-8 is a word of no language. One pass over the text.
WordCount count_words(std::string_view text, std::string_view language);

// Of the text up to </think>, or all of it where there is none. Without a word it is worth 0: an
// empty thought is consistent with nothing.
VerdictPart verify_language(std::string_view response, std::string_view language);

}  // namespace troupe::actors

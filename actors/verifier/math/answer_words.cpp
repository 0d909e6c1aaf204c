#include "actors/verifier/math/answer_words.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (to_lower(text[i]) != word[i]) return false;
  }
  return text.size() == word.size() || !is_letter(text[word.size()]);
}

bool ends_with_words(std::string_view text, std::string_view words) {
  if (text.size() <= words.size()) return false;
  return lowered(text.substr(text.size() - words.size())) == words;
}

// The letters at `at`, in lower case.
std::string word_at(std::string_view text, size_t at) {
  constexpr size_t kWordBytesMax = 32;
  std::string word;
  while (at < text.size() && is_letter(text[at]) && word.size() < kWordBytesMax) {
    word += to_lower(text[at++]);
  }
  return word;
}

bool has_digit(std::string_view text) { return std::any_of(text.begin(), text.end(), is_digit); }

// True where the words of a text cannot name another value, or take one back.
bool says_nothing_more(std::string_view text) {
  constexpr std::array<std::string_view, 12> kTurns = {
      "or",      "not",           "no",      "but",       "wait", "actually", "maybe",
      "instead", "alternatively", "perhaps", "otherwise", "wrong"};
  if (has_digit(text) || text.find_first_of("$\\=") != text.npos) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_letter(text[i])) continue;
    const std::string word = word_at(text, i);
    if (is_one_of(kTurns, word)) return false;
    // A choice: "B. Or rather C."
    if (word.size() == 1 && is_capital(text[i]) && text[i] != 'I') return false;
    i += word.size() - 1;
  }
  return true;
}

// True where the words of a reason go on to another value.
bool has_turn(std::string_view text) {
  std::string before;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_letter(text[i])) continue;
    const std::string word = word_at(text, i);
    const bool is_nothing_else = word == "else" && before == "nothing";
    if (is_turn(word) && !is_nothing_else) return true;
    i += word.size() - 1;
    before = word;
  }
  return false;
}

bool is_value(std::string_view text) {
  text = trimmed(text);
  const bool is_choice = text.size() == 1 && is_capital(text[0]);
  return has_digit(text) || is_choice ||
         (!text.empty() && std::string_view("$)}]*`").find(text.back()) != std::string_view::npos);
}

// Marks that stand at both ends: **5**, "5".
std::string_view without_pair(std::string_view text, std::string_view open,
                              std::string_view close) {
  if (text.size() < open.size() + close.size() || !text.starts_with(open) ||
      !text.ends_with(close)) {
    return text;
  }
  const std::string_view inside =
      text.substr(open.size(), text.size() - open.size() - close.size());
  return inside.find(open) == inside.npos && inside.find(close) == inside.npos ? inside : text;
}

}  // namespace

bool is_turn(std::string_view word) {
  constexpr std::array<std::string_view, 12> kTurns = {
      "or",      "but",    "otherwise", "instead", "alternatively", "maybe",
      "perhaps", "unless", "except",    "else",    "however",       "rather"};
  return is_one_of(kTurns, word);
}

std::string_view without_markdown(std::string_view text) {
  text = trimmed(text);
  for (const std::string_view mark : {"* ", "\xE2\x80\xA2", "# ", "## ", "### ", "#### "}) {
    if (text.starts_with(mark)) text = trimmed(text.substr(mark.size()));
  }
  struct Pair {
    std::string_view open, close;
  };
  constexpr Pair kPairs[] = {{"***", "***"},
                             {"**", "**"},
                             {"__", "__"},
                             {"```", "```"},
                             {"`", "`"},
                             {"*", "*"},
                             {"_", "_"},
                             {"==", "=="},
                             {"\"", "\""},
                             {"'", "'"},
                             {"\xE2\x80\x9C", "\xE2\x80\x9D"},
                             {"\xE3\x80\x8C", "\xE3\x80\x8D"},
                             {"\xE3\x80\x90", "\xE3\x80\x91"},
                             {"<b>", "</b>"},
                             {"<strong>", "</strong>"},
                             {"<i>", "</i>"},
                             {"<em>", "</em>"},
                             {"<code>", "</code>"}};
  for (const auto& [open, close] : kPairs) text = trimmed(without_pair(text, open, close));
  // Signs of approval.
  for (const std::string_view sign :
       {"\xEF\xB8\x8F", "\xE2\x9C\x85", "\xE2\x9C\x93", "\xE2\x9C\x94"}) {
    if (text.ends_with(sign)) text = trimmed(text.substr(0, text.size() - sign.size()));
    if (text.starts_with(sign)) text = trimmed(text.substr(sign.size()));
  }
  // The mark's own: **Answer:** 5 leaves it in front, **Answer: 5** at the end.
  for (const std::string_view mark : {"**", "__", "`"}) {
    const size_t first = text.find(mark);
    if (first == text.npos || text.find(mark, first + mark.size()) != text.npos) continue;
    if (first == 0) {
      text = trimmed(text.substr(mark.size()));
    } else if (first + mark.size() == text.size()) {
      text = trimmed(text.substr(0, first));
    }
  }
  return text;
}

std::string_view without_full_stop(std::string_view text) {
  constexpr std::string_view kChinese = "\xE3\x80\x82";
  while (text.ends_with(kChinese)) text = trimmed(text.substr(0, text.size() - kChinese.size()));
  const bool is_stop = text.ends_with('.') && !text.ends_with("..");
  // \. and the like are commands.
  if (!is_stop || text.ends_with("\\.") || text.size() == 1) return text;
  return trimmed(text.substr(0, text.size() - 1));
}

std::string_view without_lead_in(std::string_view text) {
  constexpr std::array<std::string_view, 37> kLeading = {
      "so",        "thus",    "therefore",  "hence",      "then",  "and",      "finally", "our",
      "my",        "the",     "final",      "correct",    "right", "required", "desired", "exact",
      "numerical", "numeric", "simplified", "to",         "of",    "for",      "this",    "problem",
      "question",  "given",   "we",         "have",       "get",   "find",     "that",    "obtain",
      "conclude",  "see",     "equation",   "expression", "here"};
  constexpr std::array<std::string_view, 8> kNouns = {"answer", "answers",  "option", "choice",
                                                      "result", "solution", "value",  "sum"};
  constexpr std::array<std::string_view, 4> kVerbs = {"is", "are", "equals", "be"};
  constexpr std::array<std::string_view, 4> kConnectives = {"so", "thus", "therefore", "hence"};
  for (const std::string_view chosen : {"\xE9\x80\x89\xE6\x8B\xA9", "\xE9\x80\x89"}) {
    if (text.starts_with(chosen)) return trimmed(text.substr(chosen.size()));
  }
  bool has_noun = false, has_we = false, is_first = true;
  for (size_t at = 0; at < text.size();) {
    if (is_space(text[at]) || text[at] == ',' || text[at] == '*' || text[at] == '_') {
      ++at;
      continue;
    }
    const std::string word = word_at(text, at);
    at += word.size();
    if (has_noun && is_one_of(kVerbs, word)) {
      std::string_view rest = trimmed(text.substr(at));
      for (const std::string_view colon : {":", "\xEF\xBC\x9A"}) {
        if (rest.starts_with(colon)) rest = trimmed(rest.substr(colon.size()));
      }
      return rest;
    }
    // "We get 5", but not "we get that ...".
    if (has_we && (word == "get" || word == "have" || word == "obtain" || word == "find")) {
      const std::string_view rest = trimmed(text.substr(at));
      if (has_digit(rest) && !starts_with_word(rest, "that")) return rest;
    }
    has_we = word == "we";
    // "It is 5", "that's 5", "x equals 5", "x is 5"; "B is correct" and "this is wrong" stay.
    const bool is_subject = word == "it" || word == "this" || word == "that" ||
                            (word.size() == 1 && text[at - 1] >= 'a' && text[at - 1] <= 'z');
    if (is_first && is_subject && !has_noun) {
      const std::string_view rest = trimmed(text.substr(at));
      for (const std::string_view verb : {"is", "equals", "'s"}) {
        if (starts_with_word(rest, verb) && has_digit(rest))
          return trimmed(rest.substr(verb.size()));
      }
    }
    const bool is_noun = is_one_of(kNouns, word);
    // "the value of x is"; but "B is correct" begins with its choice.
    const bool is_name = word.size() == 1 && has_noun;
    if (!is_noun && !is_name && !is_one_of(kLeading, word)) break;
    has_noun = has_noun || is_noun;
    // "Option B", "choice (C)".
    const bool is_choice = is_first && (word == "option" || word == "choice");
    const std::string_view rest = trimmed(text.substr(at));
    if (is_choice && !rest.empty() && (rest[0] == '(' || rest[0] == '*' || is_capital(rest[0])) &&
        word_at(rest, rest[0] == '(' ? 1 : 0).size() <= 1) {
      return rest;
    }
    is_first = false;
  }
  for (const std::string_view word : kConnectives) {
    if (!starts_with_word(text, word)) continue;
    std::string_view rest = trimmed(text.substr(word.size()));
    if (rest.starts_with(',') || rest.starts_with(':')) rest = trimmed(rest.substr(1));
    if (!rest.empty()) return rest;
  }
  return text;
}

std::string_view without_verdict(std::string_view text) {
  constexpr std::array<std::string_view, 11> kVerdicts = {" is correct",
                                                          " is right",
                                                          " is the answer",
                                                          " is the correct answer",
                                                          " is the final answer",
                                                          " is the right answer",
                                                          " is the correct option",
                                                          " is the correct choice",
                                                          " is my final answer",
                                                          " is the solution",
                                                          " is the result"};
  for (const std::string_view words : kVerdicts) {
    if (ends_with_words(text, words)) return trimmed(text.substr(0, text.size() - words.size()));
  }
  return text;
}

std::string_view without_later_sentences(std::string_view text) {
  constexpr std::string_view kChinese = "\xE3\x80\x82";
  bool is_in_math = false;
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
      continue;
    }
    if (c == '$') is_in_math = !is_in_math;
    if (c == '{') ++depth;
    if (c == '}' && depth > 0) --depth;
    if (is_in_math || depth > 0) continue;
    const bool is_chinese = text.substr(i).starts_with(kChinese);
    const size_t next = i + (is_chinese ? kChinese.size() : 1);
    const bool is_end =
        is_chinese || ((c == '.' || c == '!') && next < text.size() && is_space(text[next]));
    if (!is_end) continue;
    const std::string_view before = trimmed(text.substr(0, i)), after = trimmed(text.substr(next));
    const bool is_sentence = is_chinese || (!after.empty() && is_capital(after[0]));
    if (!is_sentence || !is_value(before)) continue;
    return says_nothing_more(after) ? before : text;
  }
  return text;
}

std::string_view without_reason(std::string_view text) {
  constexpr std::array<std::string_view, 49> kRemarks = {
      "since",    "because",  "as",      "by",        "from",     "that",     "which",
      "see",      "using",    "after",   "where",     "note",     "exact",    "exactly",
      "zero",     "one",      "two",     "three",     "four",     "five",     "six",
      "seven",    "eight",    "nine",    "ten",       "eleven",   "twelve",   "thirteen",
      "fourteen", "fifteen",  "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
      "thirty",   "forty",    "fifty",   "sixty",     "seventy",  "eighty",   "ninety",
      "hundred",  "thousand", "million", "half",      "minus",    "negative", "a"};
  for (const std::string_view brackets : {"()", "[]"}) {
    if (!text.ends_with(brackets[1])) continue;
    size_t depth = 0, open = text.size();
    for (size_t i = text.size(); i-- > 0;) {
      if (text[i] == brackets[1]) ++depth;
      if (text[i] == brackets[0] && --depth == 0) {
        open = i;
        break;
      }
    }
    const std::string_view before = trimmed(text.substr(0, open));
    const bool is_apart = open > 0 && open < text.size() && is_space(text[open - 1]);
    const std::string word = is_apart ? word_at(text, open + 1) : "";
    // One letter is a value of its own: (a, b).
    if (is_apart && word.size() > 1 && is_one_of(kRemarks, word) && !has_turn(text.substr(open)) &&
        is_value(before))
      return before;
  }
  for (const std::string_view word : {" because ", " since ", ", as "}) {
    const size_t at = text.find(word);
    if (at == text.npos || has_turn(text.substr(at))) continue;
    std::string_view before = trimmed(text.substr(0, at));
    for (const std::string_view dash : {",", " -", "\xE2\x80\x93", "\xE2\x80\x94"}) {
      if (before.ends_with(dash)) before = trimmed(before.substr(0, before.size() - dash.size()));
    }
    if (is_value(before)) return before;
  }
  return text;
}

bool is_denial(std::string_view text) {
  constexpr std::string_view kChinese = "\xE4\xB8\x8D";
  if (text.starts_with(kChinese)) return true;
  for (const std::string_view word : {"not", "never", "neither", "isn't", "cannot"}) {
    if (starts_with_word(text, word)) return true;
  }
  return false;
}

bool is_placeholder(std::string_view text) {
  constexpr size_t kBytesMax = 40;
  if (text.size() > kBytesMax || has_digit(text)) return false;
  std::string letters;
  for (const char c : text) {
    if (is_letter(c)) letters += to_lower(c);
  }
  if (letters.empty()) return text.find_first_not_of("._-?* \t[]()<>$") == text.npos;
  if (letters == "answer" || letters == "youranswer" || letters == "finalanswer") return true;
  return std::string_view("$\\[<{(").find(text[0]) != std::string_view::npos &&
         letters.find("answer") != std::string::npos;
}

}  // namespace troupe::actors

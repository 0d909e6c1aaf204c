#include "actors/verifier/language_verdict.h"

#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "actors/verifier/unicode_script.h"

namespace troupe::actors {
namespace {

struct Language {
  std::string_view name;
  std::vector<Script> scripts;
};

const Language* find_language(std::string_view name) {
  static const std::vector<Language> kLanguages = {
      {"en", {Script::kLatin}},  {"zh", {Script::kHan}},      {"ja", {Script::kKana, Script::kHan}},
      {"ko", {Script::kHangul}}, {"ru", {Script::kCyrillic}}, {"el", {Script::kGreek}},
      {"he", {Script::kHebrew}}, {"ar", {Script::kArabic}},   {"hi", {Script::kDevanagari}},
      {"th", {Script::kThai}},
  };
  for (const Language& language : kLanguages) {
    if (language.name == name) return &language;
  }
  return nullptr;
}

struct Brackets {
  std::string_view open;
  std::string_view close;
  bool is_in_line;  // Both are on one line, or it is none: $5 and $6 are prices.
};
// Longer ones first where one begins with the other.
constexpr Brackets kBrackets[] = {
    {"```", "```", false}, {"`", "`", true},      {"$$", "$$", false},
    {"$", "$", true},      {"\\[", "\\]", false}, {"\\(", "\\)", false},
};

// Where code and formulas are. What does not close is text, or everything behind a stray sign would
// be hidden. Each search ends where the next one of its kind can begin, so all are one pass.
class Skipper {
 public:
  explicit Skipper(std::string_view text) : text_(text) {}

  // The end of the code or formula that begins at `at`; `at` when none does.
  size_t skip(size_t at) {
    for (size_t kind = 0; kind < std::size(kBrackets); ++kind) {
      const Brackets& brackets = kBrackets[kind];
      if (!text_.substr(at).starts_with(brackets.open)) continue;
      const size_t begin = at + brackets.open.size();
      if (is_unclosed_[kind]) continue;
      const size_t close = text_.find(brackets.close, begin);
      if (close == text_.npos) {
        is_unclosed_[kind] = true;  // Nor does what begins later.
        continue;
      }
      if (brackets.is_in_line && text_.substr(begin, close - begin).find('\n') != text_.npos) {
        continue;
      }
      return close + brackets.close.size();
    }
    return at;
  }

 private:
  std::string_view text_;
  bool is_unclosed_[std::size(kBrackets)] = {};
};

bool is_latin_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

bool is_known_language(std::string_view language) { return find_language(language) != nullptr; }

WordCount count_words(std::string_view text, std::string_view language) {
  WordCount count;
  const Language* wanted = find_language(language);
  if (wanted == nullptr) return count;
  Script word = Script::kNone;  // Of the run under way.
  size_t letters = 0;
  const auto end_word = [&] {
    const bool is_symbol = letters == 1 && (word == Script::kLatin || word == Script::kGreek);
    if (word != Script::kNone && !is_symbol) {
      ++count.all;
      for (Script script : wanted->scripts) count.wanted += script == word ? 1 : 0;
    }
    word = Script::kNone;
    letters = 0;
  };
  Skipper skipper(text);
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '`' || c == '$' || c == '\\') {
      end_word();
      const size_t end = skipper.skip(at);
      if (end == at) {
        ++at;
        // A command such as \frac.
        while (c == '\\' && at < text.size() && is_latin_letter(text[at])) ++at;
      } else {
        at = end;
      }
      continue;
    }
    const Character character = first_character(text.substr(at));
    at += character.num_bytes;
    if (character.is_mark) continue;
    const bool is_apostrophe = c == '\'' && at < text.size() && is_latin_letter(text[at]);
    if (is_apostrophe && word == Script::kLatin) continue;  // don't
    if (character.script != word || is_unspaced(character.script)) end_word();
    word = character.script;
    letters += word == Script::kNone ? 0 : 1;
  }
  end_word();
  return count;
}

VerdictPart verify_language(std::string_view response, std::string_view language) {
  constexpr std::string_view kOpen = "<think>";
  const size_t close = response.find("</think>");
  std::string_view thoughts = response.substr(0, close);
  if (const size_t open = thoughts.find(kOpen); open != thoughts.npos) {
    thoughts.remove_prefix(open + kOpen.size());
  }
  const WordCount count = count_words(thoughts, language);
  const double share =
      count.all == 0 ? 0 : static_cast<double>(count.wanted) / static_cast<double>(count.all);
  return {.kind = VerdictKind::kScored,
          .value = static_cast<float>(share),
          .reason = count.all == 0 ? "the thoughts have no words"
                                   : fmt::format("{} of {} words are written as in {}",
                                                 count.wanted, count.all, language)};
}

}  // namespace troupe::actors

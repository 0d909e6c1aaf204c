#include "actors/verifier/math/marked_answer.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "actors/verifier/math/answer_words.h"
#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

constexpr size_t kValueBytesMax = 8192;
constexpr std::string_view kWideColon = "\xEF\xBC\x9A";

bool has_word_at(std::string_view text, size_t at, std::string_view word) {
  if (text.size() - at < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (to_lower(text[at + i]) != word[i]) return false;
  }
  const size_t end = at + word.size();
  return end == text.size() || !is_letter(text[end]);
}

size_t skip_markdown(std::string_view text, size_t at) {
  while (at < text.size() && std::string_view("*_` \t").find(text[at]) != std::string_view::npos) {
    ++at;
  }
  return at;
}

// Where the value begins behind "Answer", whose end is `at`: ":", " is:", " (in cm):", "is (C)"
// and, behind "correct answer", "is C".
std::optional<size_t> value_behind(std::string_view text, size_t at, bool is_correct) {
  constexpr size_t kRemarkBytesMax = 40;
  at = skip_markdown(text, at);
  if (at < text.size() && text[at] == '(') {
    const size_t close = text.substr(at, kRemarkBytesMax).find_first_of(")\n");
    if (close != text.npos && text[at + close] == ')') at = skip_markdown(text, at + close + 1);
  }
  bool has_verb = false;
  for (const std::string_view verb : {"is", "are"}) {
    if (has_verb || !has_word_at(text, at, verb)) continue;
    has_verb = true;
    at = skip_markdown(text, at + verb.size());
  }
  if (at >= text.size()) return {};
  if (text[at] == ':') return at + 1;
  if (text.substr(at).starts_with(kWideColon)) return at + kWideColon.size();
  const std::string_view choice = text.substr(at, 3);
  const bool is_choice =
      choice.size() == 3 && choice[0] == '(' && is_capital(choice[1]) && choice[2] == ')';
  const std::string_view letter = text.substr(at, 2);
  const bool is_letter_alone =
      letter[0] >= 'A' && letter[0] <= 'H' &&
      (letter.size() == 1 || std::string_view(".,;:!*_`\r\n").find(letter[1]) != letter.npos);
  const bool is_chosen = is_choice || (is_correct && is_letter_alone);
  return has_verb && is_chosen ? std::optional(at) : std::nullopt;
}

// A line of nothing but "Final Answer", from `begin` to `end`, and Markdown: its value is below.
bool is_heading(std::string_view text, size_t begin, size_t end) {
  constexpr size_t kPrefixBytesMax = 40;
  end = skip_markdown(text, end);
  if (end < text.size() && text[end] != '\n' && text[end] != '\r') return false;
  const size_t from = begin - std::min(begin, kPrefixBytesMax);
  std::string_view prefix = text.substr(from, begin - from);
  if (const size_t line = prefix.rfind('\n'); line != prefix.npos) {
    prefix.remove_prefix(line + 1);
  } else if (from > 0) {
    return false;
  }
  std::string words;
  for (const char c : prefix) {
    if (is_letter(c)) words += to_lower(c);
    if (!is_letter(c) && std::string_view("#>*_` \t").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return words.empty() || words == "final" || words == "thefinal" || words == "my" ||
         words == "myfinal";
}

// Where the value begins behind the Chinese word for "answer", whose end is `at`.
std::optional<size_t> value_behind_chinese(std::string_view text, size_t at) {
  constexpr std::string_view kWords[] = {"\xE5\xB0\xB1\xE6\x98\xAF",  // "is just"
                                         "\xE5\xBA\x94\xE6\x98\xAF",  // "should be"
                                         "\xE5\xBA\x94\xE4\xB8\xBA",
                                         "\xE6\x98\xAF",  // "is"
                                         "\xE4\xB8\xBA",
                                         "\xE7\x82\xBA",
                                         "\xE9\x80\x89",  // "choose"
                                         "\xE3\x80\x91",  // A bracket that closes.
                                         kWideColon,
                                         ":"};
  constexpr std::string_view kWhether = "\xE6\x98\xAF\xE5\x90\xA6";
  bool has_any = false;
  for (bool is_found = true; is_found;) {
    at = skip_markdown(text, at);
    is_found = false;
    if (text.substr(at).starts_with(kWhether)) return {};
    for (const std::string_view word : kWords) {
      if (is_found || !text.substr(at).starts_with(word)) continue;
      at += word.size();
      is_found = has_any = true;
    }
  }
  return has_any ? std::optional(at) : std::nullopt;
}

// One or more of the letters A to H, which nothing but punctuation follows up to the line's end.
bool is_choice_at(std::string_view text, size_t at) {
  constexpr size_t kLineBytesMax = 32;
  std::string_view line = text.substr(std::min(at, text.size()), kLineBytesMax);
  line = line.substr(0, line.find('\n'));
  size_t num_letters = 0;
  for (const char c : line) {
    if (c >= 'A' && c <= 'H') {
      ++num_letters;
    } else if (is_letter(c) || is_digit(c)) {
      return false;
    }
  }
  return num_letters > 0 && line.size() < kLineBytesMax;
}

// "wrong answer", "not the answer": what follows is none.
bool is_denied(std::string_view text, size_t at) {
  constexpr size_t kBytes = 16;
  const std::string before = lowered(text.substr(at - std::min(at, kBytes), std::min(at, kBytes)));
  for (const std::string_view words : {"wrong ", "incorrect ", "false ", "not the ", "not an "}) {
    if (std::string_view(before).ends_with(words)) return true;
  }
  return false;
}

// Where what the last mark says begins.
std::optional<size_t> last_mark_end(std::string_view text) {
  constexpr std::string_view kChinese = "\xE7\xAD\x94\xE6\xA1\x88";
  // "Correct option."
  constexpr std::string_view kChineseOption = "\xE6\xAD\xA3\xE7\xA1\xAE\xE9\x80\x89\xE9\xA1\xB9";
  constexpr std::string_view kChineseChoose = "\xE6\x95\x85\xE9\x80\x89";
  constexpr std::string_view kCorrect = "correct ";
  std::optional<size_t> found;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("####")) {
      i += 3;
      found = i + 1;
      continue;
    }
    // "Hence choose": what stands behind it is a choice's letters and nothing else.
    if (text.substr(i).starts_with(kChineseChoose)) {
      size_t value = i + kChineseChoose.size();
      constexpr std::string_view kLonger = "\xE6\x8B\xA9";  // A longer word for the same.
      if (text.substr(value).starts_with(kLonger)) value += kLonger.size();
      for (const std::string_view colon : {kWideColon, std::string_view(":")}) {
        value = skip_markdown(text, value);
        if (text.substr(value).starts_with(colon)) value += colon.size();
      }
      if (is_choice_at(text, skip_markdown(text, value))) found = value;
      i += kChineseChoose.size() - 1;
      continue;
    }
    const bool is_option = text.substr(i).starts_with(kChineseOption);
    if (is_option || text.substr(i).starts_with(kChinese)) {
      const size_t end = i + (is_option ? kChineseOption : kChinese).size();
      if (const auto value = value_behind_chinese(text, end)) found = value;
      i = end - 1;
      continue;
    }
    if (i > 0 && is_letter(text[i - 1])) continue;
    const bool is_correct = i >= kCorrect.size() &&
                            lowered(text.substr(i - kCorrect.size(), kCorrect.size())) == kCorrect;
    for (const std::string_view word : {"answer", "answers", "ans", "option", "choice"}) {
      if ((word[0] != 'a' && !is_correct) || !has_word_at(text, i, word)) continue;
      const size_t end = i + word.size();
      if (is_denied(text, i)) break;
      if (const auto value = value_behind(text, end, is_correct)) {
        found = value;
      } else if (word[0] == 'a' && is_heading(text, i, end)) {
        found = skip_markdown(text, end);
      }
      break;
    }
  }
  return found;
}

std::string_view line_at(std::string_view text, size_t at) {
  return text.substr(at, std::min(text.find('\n', at), text.size()) - at);
}

// The end of the block that a line begins and does not close: \[, $$ or ```; nothing for others.
std::optional<std::string_view> closing_of(std::string_view line) {
  line = trimmed(line);
  for (const auto& [open, close] : {std::pair<std::string_view, std::string_view>{"\\[", "\\]"},
                                    {"$$", "$$"},
                                    {"```", "```"}}) {
    if (!line.starts_with(open)) continue;
    const bool is_closed = line.find(close, open.size()) != line.npos;
    return is_closed ? std::nullopt : std::optional(close);
  }
  return {};
}

// What a policy's tokenizer writes at the end of a turn.
std::string_view without_end_of_turn(std::string_view text) {
  for (const std::string_view mark :
       {"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "</s>", "<eos>", "<end_of_turn>"}) {
    if (trimmed(text).ends_with(mark)) {
      text = trimmed(text);
      text.remove_suffix(mark.size());
    }
  }
  return text;
}

// A value or a few: no word in it that is not a command's name.
bool is_bare(std::string_view line) {
  constexpr size_t kWordLettersMax = 2;
  bool has_any = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
      while (i < line.size() && is_letter(line[i])) ++i;
      has_any = true;
      if (i >= line.size()) break;
    }
    size_t end = i;
    while (end < line.size() && is_letter(line[end])) ++end;
    if (end - i > kWordLettersMax) return false;
    has_any = has_any || end > i || is_digit(line[i]);
    if (end > i) i = end - 1;
  }
  return has_any;
}

// Reads values from the lines below a mark.
class LinesBelow {
 public:
  // `is_quoted`: the mark's line begins with ">", and so may these.
  LinesBelow(std::string_view text, size_t at, bool is_quoted)
      : text_(text), at_(at), is_quoted_(is_quoted) {}

  // One, or those of all bare lines that follow each other, as a list.
  std::string values() {
    std::string first;
    while (first.empty() && has_line()) {
      const bool is_heading = trimmed(line_at(text_, at_)).starts_with('#');
      first = next_value();
      if (is_heading && !is_bare(first)) return {};  // Of the next part of the text.
    }
    if (!is_bare(first)) return first;
    std::string last = first;
    while (has_line() && first.size() < kValueBytesMax) {
      if (trimmed(line_at(text_, at_)).empty()) {
        skip_line();
        continue;
      }
      const std::string one = next_value();
      if (one.empty()) continue;  // A rule.
      if (!is_bare(one)) break;
      if (one != last) first += "," + one;
      last = one;
    }
    return first;
  }

 private:
  bool has_line() const { return at_ < text_.size(); }
  void skip_line() { at_ = std::min(at_ + line_at(text_, at_).size() + 1, text_.size()); }

  std::string next_value() {
    const std::string_view line = line_at(text_, at_);
    const auto closing = closing_of(line);
    if (!closing) {
      skip_line();
      std::string_view item = trimmed(line);
      const bool is_rule = item.size() > 2 && item.find_first_not_of("-*_=") == item.npos;
      if (is_rule) return {};
      while (is_quoted_ && item.starts_with('>')) item = trimmed(item.substr(1));
      return plain_answer(item.starts_with("- ") ? item.substr(2) : item);
    }
    const size_t open = text_.find_first_not_of(" \t\r", at_);
    // A block of code may name its language.
    const bool is_code = closing->starts_with('`');
    const size_t begin = std::min(is_code ? at_ + line.size() : open + 2, text_.size());
    const size_t end = text_.find(*closing, begin);
    if (end == text_.npos) {
      at_ = text_.size();
      return {};
    }
    at_ = end + closing->size();
    skip_line();
    std::string inside(text_.substr(begin, std::min(end - begin, kValueBytesMax)));
    std::replace(inside.begin(), inside.end(), '\n', ' ');
    return plain_answer(inside);
  }

  std::string_view text_;
  size_t at_;
  bool is_quoted_;
};

// A dollar or a brace that the mark's own line opened: "$\text{Answer: } 5$".
std::string_view without_loose_ends(std::string_view text) {
  if (text.starts_with('}')) text = trimmed(text.substr(1));
  const bool is_odd = std::count(text.begin(), text.end(), '$') % 2 == 1;
  if (is_odd && text.ends_with('$')) text = trimmed(text.substr(0, text.size() - 1));
  return text;
}

}  // namespace

std::string plain_answer(std::string_view text) {
  constexpr int kRoundsMax = 16;
  text = trimmed(text);
  for (int i = 0; i < kRoundsMax; ++i) {
    const std::string_view before = text;
    for (const auto step : {without_markdown, without_later_sentences, without_full_stop,
                            without_reason, without_verdict, without_lead_in}) {
      text = step(text);
    }
    if (text == before) break;
  }
  return std::string(text);
}

std::optional<std::string> marked_answer(std::string_view text) {
  text = without_end_of_turn(text);
  const auto mark = last_mark_end(text);
  if (!mark) return {};
  const std::string_view line = line_at(text, *mark);
  std::string value = closing_of(line) ? "" : plain_answer(without_loose_ends(trimmed(line)));
  if (value.empty()) {
    const size_t line_begin = *mark == 0 ? 0 : text.rfind('\n', *mark - 1) + 1;
    const bool is_quoted = trimmed(line_at(text, line_begin)).starts_with('>');
    const bool has_block = closing_of(line).has_value();
    value = LinesBelow(text, has_block ? *mark : std::min(*mark + line.size() + 1, text.size()),
                       is_quoted)
                .values();
  }
  if (is_denial(value) || is_placeholder(value)) return "";
  return value;
}

}  // namespace troupe::actors

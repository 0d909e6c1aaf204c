#include "model/data/short_answer.h"

#include <algorithm>
#include <optional>

#include "model/data/json_row.h"

namespace troupe::model {
namespace {

constexpr std::string_view kBoxes[] = {"\\boxed", "\\fbox"};

struct Box {
  size_t begin = 0, end = 0;  // Of all of it.
  std::string_view content{};
};

// The box that begins at `begin`, where `command` stands; nothing where its braces do not end.
std::optional<Box> box_at(std::string_view text, size_t begin, std::string_view command) {
  size_t open = begin + command.size();
  while (open < text.size() && text[open] == ' ') ++open;
  if (open == text.size() || text[open] != '{') return {};
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;  // \{ and \} are no braces of the box.
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return Box{begin, i + 1, text.substr(open + 1, i - open - 1)};
    }
  }
  return {};
}

std::optional<Box> last_box(std::string_view text) {
  std::optional<Box> last;
  for (std::string_view command : kBoxes) {
    const size_t at = text.rfind(command);
    if (at == text.npos || (last && at < last->begin)) continue;
    if (auto box = box_at(text, at, command)) last = box;
  }
  return last;
}

// Of words: signs such as those for "at least" and "in" are no letters.
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Words that are not part of a formula or of a command.
int64_t count_words(std::string_view text) {
  int64_t words = 0;
  bool is_formula = false;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '$') is_formula = !is_formula;
    if (text[i] == '\\') {
      ++i;
      while (i < text.size() && is_letter(text[i])) ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && is_letter(text[end])) ++end;
    if (!is_formula && end - i >= 2) ++words;
    i = std::max(end, i + 1);
  }
  return words;
}

// "1,234" and "$1,234,567.50" are one number: without its commas. Any other comma stands between
// several answers, also the one in (1,200).
std::string without_thousands_commas(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  const size_t begin = std::min(text.find_first_of(kDigits), text.size());
  const size_t end = std::min(text.find_first_not_of("0123456789,.", begin), text.size());
  const std::string_view number = text.substr(begin, end - begin);
  const auto is_more = [](std::string_view part) {
    return part.find_first_of("0123456789,()[]{}") != part.npos;
  };
  if (is_more(text.substr(0, begin)) || is_more(text.substr(end))) return std::string(text);
  const std::string_view whole = number.substr(0, number.find('.'));
  size_t digits = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    digits = whole[i] == ',' ? 0 : digits + 1;
    const bool is_group_end = i + 1 == whole.size() || whole[i + 1] == ',';
    const bool is_first_group = whole.find(',') > i;
    if (digits > 3 || (is_group_end && (is_first_group ? digits == 0 : digits != 3))) {
      return std::string(text);
    }
  }
  if (number.substr(whole.size()).find(',') != number.npos) return std::string(text);
  std::string bare(text);
  std::erase(bare, ',');
  return bare;
}

// What stands behind a mark is its answer. A heading of Markdown looks alike, and the text under it
// goes on.
bool is_marked_answer(std::string_view text) {
  const bool goes_on = text.find('\n') != text.npos && count_words(text) >= 1;
  return !goes_on && !is_prose(text);
}

}  // namespace

bool is_prose(std::string_view text) {
  text = trimmed(text);
  constexpr int64_t kWordsMax = 8;
  constexpr size_t kBytesMax = 400;
  const bool is_sentence = text.ends_with('.') && count_words(text) >= 4;
  const bool has_lines = text.find('\n') != text.npos && count_words(text) >= 4;
  return is_sentence || has_lines || count_words(text) > kWordsMax || text.size() > kBytesMax;
}

std::string unboxed(std::string_view text) {
  text = trimmed(text);
  if (text.size() >= 2 && text.front() == '$' && text.back() == '$') {
    text = trimmed(text.substr(1, text.size() - 2));
  }
  const auto box = last_box(text);
  return std::string(box && box->begin == 0 && box->end == text.size() ? box->content : text);
}

ShortAnswer short_answer(std::string_view text) {
  text = trimmed(text);
  constexpr std::string_view kMark = "####";
  if (const size_t mark = text.rfind(kMark); mark != text.npos) {
    const std::string_view marked = trimmed(text.substr(mark + kMark.size()));
    if (is_marked_answer(marked)) return {without_thousands_commas(marked), kAfterMark};
  } else if (!is_prose(text)) {
    return {std::string(text), {}};
  }
  const auto box = last_box(text);
  return {std::string(box ? trimmed(box->content) : std::string_view()), kInBox};
}

}  // namespace troupe::model

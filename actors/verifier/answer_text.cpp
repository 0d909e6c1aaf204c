#include "actors/verifier/answer_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace troupe::actors {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct Box {
  size_t begin = 0;          // Of the command.
  size_t content_begin = 0;  // After its brace.
  size_t end = 0;            // Of the closing brace.
};

struct Boxes {
  std::vector<Box> closed{};  // In order; a box inside another closed one is left out.
  bool has_any = false;       // Also one that never closes.
};

// The letters after the backslash at `at`.
std::string_view command_at(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && is_letter(text[end])) ++end;
  return text.substr(at + 1, end - at - 1);
}

Boxes find_boxes(std::string_view text) {
  constexpr size_t kPlainBrace = SIZE_MAX;
  Boxes boxes;
  std::vector<Box> open;  // begin = kPlainBrace for a brace that is no box's.
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') {
      open.push_back({kPlainBrace, 0, 0});
    } else if (text[i] == '}' && !open.empty()) {
      Box box = open.back();
      open.pop_back();
      if (box.begin == kPlainBrace) continue;
      box.end = i;
      while (!boxes.closed.empty() && boxes.closed.back().begin > box.begin) {
        boxes.closed.pop_back();
      }
      boxes.closed.push_back(box);
    } else if (text[i] == '\\') {
      const std::string_view command = command_at(text, i);
      if (command.empty()) {
        ++i;  // \{ and \} are characters and not braces.
        continue;
      }
      const size_t begin = i;
      i += command.size();
      if (command != "boxed" && command != "fbox") continue;
      boxes.has_any = true;
      size_t brace = i + 1;
      while (brace < text.size() && is_space(text[brace])) ++brace;
      if (brace < text.size() && text[brace] == '{') {
        open.push_back({begin, brace + 1, 0});
        i = brace;
      }
    }
  }
  return boxes;
}

// True for the ", ", " or " and the like between parts of one answer.
bool is_joiner(std::string_view gap) {
  constexpr size_t kJoinerBytesMax = 32;
  if (gap.size() > kJoinerBytesMax) return false;
  std::string letters;
  for (char c : gap) {
    if (is_letter(c)) {
      letters += lower(c);
    } else if (!is_space(c) && std::string_view("$,;{}\\").find(c) == std::string_view::npos) {
      return false;
    }
  }
  constexpr std::array<std::string_view, 5> kJoiners = {"", "or", "and", "textor", "textand"};
  return contains(kJoiners, letters);
}

ExtractedAnswer boxed_answer(std::string_view text, const Boxes& boxes, bool is_list) {
  if (boxes.closed.empty()) return {{}, "the box of the answer is not closed"};
  const auto content = [&](const Box& box) {
    return trimmed(text.substr(box.content_begin, box.end - box.content_begin));
  };
  const std::vector<Box>& closed = boxes.closed;
  size_t first = closed.size() - 1;
  while (first > 0 && is_joiner(text.substr(closed[first - 1].end + 1,
                                            closed[first].begin - closed[first - 1].end - 1))) {
    --first;
  }
  std::string answer(content(closed.back()));
  const bool is_hedged =
      std::any_of(closed.begin() + static_cast<std::ptrdiff_t>(first), closed.end(),
                  [&](const Box& box) { return content(box) != answer; });
  if (is_hedged && !is_list) return {{}, "several boxes side by side are not one answer"};
  if (is_hedged) {
    answer.clear();
    for (size_t i = first; i < closed.size(); ++i) {
      answer += (i > first ? "," : "") + std::string(content(closed[i]));
    }
  }
  if (answer.empty()) return {{}, "the box of the answer is empty"};
  return {std::move(answer), {}};
}

// What follows the last "Answer:" (any case, also **Answer**:) or "####" on its line.
std::optional<std::string_view> marked_answer(std::string_view text) {
  constexpr std::string_view kAnswer = "answer";
  size_t found = text.npos;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("####")) {
      i += 3;
      found = i + 1;
    } else if (lower(text[i]) == 'a' && (i == 0 || !is_letter(text[i - 1]))) {
      size_t at = 0;
      while (at < kAnswer.size() && i + at < text.size() && lower(text[i + at]) == kAnswer[at]) {
        ++at;
      }
      if (at < kAnswer.size()) continue;
      i += at;
      while (i < text.size() && (text[i] == '*' || text[i] == ' ')) ++i;
      if (i < text.size() && text[i] == ':') found = i + 1;
      --i;  // What stopped the scan may begin the next mark.
    }
  }
  if (found == text.npos) return {};
  std::string_view line = trimmed(text.substr(found, text.find('\n', found) - found));
  // **Answer:** 5 leaves the closing stars in front.
  const bool is_bold = line.starts_with("**") && line.find("**", 2) == line.npos;
  return is_bold ? trimmed(line.substr(2)) : line;
}

size_t count(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

// The ASCII for a character that only looks different, with its length in bytes; {"", 0} if none.
std::pair<std::string, size_t> ascii_for(std::string_view text) {
  struct Look {
    std::string_view bytes;
    std::string_view ascii;
  };
  static constexpr Look kLooks[] = {
      {"\xE2\x88\x92", "-"},    {"\xC2\xA0", " "},           {"\xE2\x80\x89", " "},
      {"\xE2\x80\xAF", " "},    {"\xE3\x80\x80", " "},       {"\xC2\xB0", "^\\circ"},
      {"\xC3\x97", "\\times"},  {"\xE2\x89\xA0", "\\ne"},    {"\xE2\x89\xA4", "\\le"},
      {"\xE2\x89\xA5", "\\ge"}, {"\xE2\x89\x88", "\\approx"}};
  for (const Look& look : kLooks) {
    if (text.starts_with(look.bytes)) return {std::string(look.ascii), look.bytes.size()};
  }
  if (text.size() >= 3 && text[0] == '\xEF') {  // U+FF01 .. U+FF5E are ASCII in full width.
    const unsigned code = 0xF000u | (static_cast<unsigned char>(text[1]) & 0x3Fu) << 6 |
                          (static_cast<unsigned char>(text[2]) & 0x3Fu);
    if (code >= 0xFF01 && code <= 0xFF5E) {
      return {std::string(1, static_cast<char>(code - 0xFEE0)), 3};
    }
  }
  return {"", 0};
}

std::string with_ascii(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto [ascii, length] = ascii_for(text.substr(i));
    if (length > 0) {
      out += ascii;
      i += length;
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[i++]);
    out += byte < 0x20 || byte == 0x7F ? ' ' : static_cast<char>(byte);
  }
  return out;
}

std::string without_commands(std::string_view text) {
  constexpr std::array<std::string_view, 11> kUpright = {
      "text",   "textbf", "textit", "textrm",       "mathrm", "mathbf",
      "mathit", "mathsf", "mbox",   "operatorname", "textsf"};
  constexpr std::array<std::string_view, 11> kDropped = {"left", "right", "displaystyle", "big",
                                                         "Big",  "bigl",  "bigr",         "Bigl",
                                                         "Bigr", "quad",  "qquad"};
  constexpr std::pair<std::string_view, std::string_view> kSynonyms[] = {
      {"dfrac", "frac"}, {"tfrac", "frac"}, {"cfrac", "frac"},
      {"geq", "ge"},     {"leq", "le"},     {"neq", "ne"}};

  std::string out;
  out.reserve(text.size());
  std::vector<bool> is_kept;  // Per open brace.
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '{') {
      if (text.substr(i).starts_with("{,}")) {
        out += ',';
        i += 2;
        continue;
      }
      is_kept.push_back(true);
      out += c;
    } else if (c == '}') {
      if (is_kept.empty() || is_kept.back()) out += c;
      if (!is_kept.empty()) is_kept.pop_back();
    } else if (c == '$') {
      continue;  // A delimiter or a currency sign.
    } else if (c == '~' || c == ' ') {
      if (!out.ends_with(' ')) out += ' ';
    } else if (c != '\\') {
      out += c;
    } else if (std::string_view name = command_at(text, i); name.empty()) {
      const char symbol = i + 1 < text.size() ? text[i + 1] : ' ';
      ++i;
      if (std::string_view(",;: ").find(symbol) != std::string_view::npos) {
        if (!out.ends_with(' ')) out += ' ';
      } else if (symbol == '%') {
        out += symbol;
      } else if (std::string_view("!()[]$").find(symbol) == std::string_view::npos) {
        out += '\\';
        out += symbol;
      }
    } else {
      i += name.size();
      const bool is_box = name == "boxed" || name == "fbox";
      if (is_box || contains(kUpright, name)) {
        size_t brace = i + 1;
        while (brace < text.size() && text[brace] == ' ') ++brace;
        if (brace < text.size() && text[brace] == '{') {
          if (!is_box) out += kUprightMark;
          is_kept.push_back(false);
          i = brace;
        }
      } else if (!contains(kDropped, name)) {
        for (const auto& [synonym, meant] : kSynonyms) {
          if (name == synonym) name = meant;
        }
        out += '\\';
        out += name;
      }
    }
  }
  return out;
}

std::string with_degrees(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t length = 0;
    for (std::string_view sign : {"^{\\circ}", "^\\circ"}) {
      if (text.substr(i).starts_with(sign)) length = std::max(length, sign.size());
    }
    if (length == 0) {
      out += text[i++];
    } else {
      out += kUprightMark;
      out += "degrees";
      i += length;
    }
  }
  return out;
}

// Brackets that hold one item: (C), (\frac12), {5}; not a tuple, an interval or two factors.
bool is_bracketed_item(std::string_view text) {
  if (text.size() < 2) return false;
  const std::string_view inside = text.substr(1, text.size() - 2);
  if (text.front() == '(' && text.back() == ')') return inside.find_first_of("(),") == inside.npos;
  return text.front() == '{' && text.back() == '}' && inside.find_first_of("{},") == inside.npos;
}

}  // namespace

std::optional<std::string_view> last_box(std::string_view text) {
  const Boxes boxes = find_boxes(text);
  if (boxes.closed.empty()) return {};
  const Box& box = boxes.closed.back();
  return trimmed(text.substr(box.content_begin, box.end - box.content_begin));
}

ExtractedAnswer extract_answer(std::string_view response, bool is_list) {
  constexpr std::string_view kThinkClose = "</think>";
  constexpr std::string_view kAnswerOpen = "<answer>";
  constexpr std::string_view kAnswerClose = "</answer>";
  std::string_view text = response;
  if (const size_t end = text.rfind(kThinkClose); end != text.npos) {
    text = text.substr(end + kThinkClose.size());
  }
  if (text.find("<think>") != text.npos) return {{}, "the thinking is not closed"};

  const size_t num_open = count(text, kAnswerOpen);
  const size_t num_close = count(text, kAnswerClose);
  const bool is_tagged = num_open + num_close > 0;
  if (is_tagged) {
    const size_t begin = text.find(kAnswerOpen);
    const size_t end = text.find(kAnswerClose);
    if (num_open != 1 || num_close != 1 || end < begin) {
      return {{}, "there is not exactly one <answer>...</answer>"};
    }
    text = text.substr(begin + kAnswerOpen.size(), end - begin - kAnswerOpen.size());
  }
  if (const Boxes boxes = find_boxes(text); boxes.has_any) {
    return boxed_answer(text, boxes, is_list);
  }
  const auto marked = marked_answer(text);
  if (!marked && !is_tagged) {
    return {{}, "there is no box, no <answer> tag and no \"Answer:\" line"};
  }
  const std::string_view answer = marked ? *marked : trimmed(text);
  if (answer.empty()) return {{}, "the answer is empty"};
  return {std::string(answer), {}};
}

std::string plain_answer(std::string_view text) {
  std::string plain = with_degrees(without_commands(with_ascii(text)));
  std::string_view view = plain;
  const auto trim = [&] {
    while (!view.empty() && (view.front() == ' ' || view.front() == kUprightMark)) {
      view.remove_prefix(1);
    }
    while (!view.empty() && (view.back() == ' ' || view.back() == kUprightMark)) {
      view.remove_suffix(1);
    }
  };
  trim();
  if (view.size() > 4 && view.starts_with("**") && view.ends_with("**")) {
    view = view.substr(2, view.size() - 4);
    trim();
  }
  if (view.ends_with('.') && !view.ends_with("..")) view.remove_suffix(1);
  trim();
  if (is_bracketed_item(view)) view = view.substr(1, view.size() - 2);
  trim();
  return std::string(view);
}

std::string comparison_key(std::string_view plain) {
  std::string key;
  key.reserve(plain.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    if (c == kUprightMark) continue;
    if (c == ' ') {
      // "4 2" is not 42.
      const bool is_between_digits =
          !key.empty() && is_digit(key.back()) && i + 1 < plain.size() && is_digit(plain[i + 1]);
      if (is_between_digits) key += c;
      continue;
    }
    const bool is_escaped = i > 0 && plain[i - 1] == '\\';
    if (c == '{' && !is_escaped && i + 2 < plain.size() && plain[i + 2] == '}' &&
        std::string_view("{}\\ ").find(plain[i + 1]) == std::string_view::npos) {
      key += plain[i + 1];
      i += 2;
      continue;
    }
    key += c;
  }
  return key;
}

bool is_same_text(std::string_view plain_a, std::string_view plain_b) {
  std::string a = comparison_key(plain_a);
  std::string b = comparison_key(plain_b);
  if (a == b) return true;
  const bool are_words = a.size() > 1 && std::all_of(a.begin(), a.end(), is_letter) &&
                         std::all_of(b.begin(), b.end(), is_letter);
  if (!are_words) return false;
  std::transform(a.begin(), a.end(), a.begin(), lower);
  std::transform(b.begin(), b.end(), b.begin(), lower);
  return a == b;
}

}  // namespace troupe::actors

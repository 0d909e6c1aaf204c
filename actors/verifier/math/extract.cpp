#include "actors/verifier/math/extract.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/marked_answer.h"

namespace troupe::actors {
namespace {

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct Box {
  size_t begin = 0;          // Of the command.
  size_t content_begin = 0;  // After its brace.
  size_t end = 0;            // Of the closing brace, or of the content without one.
  size_t after = 0;
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

bool is_box(std::string_view command) { return command == "boxed" || command == "fbox"; }

// \boxed 2 and \boxed\frac{1}{2}: up to a space, a dollar or the like outside of braces.
size_t bare_content_end(std::string_view text, size_t begin) {
  constexpr size_t kBytesMax = 200;
  size_t depth = 0, end = begin;
  for (; end < text.size() && end - begin < kBytesMax; ++end) {
    const char c = text[end];
    if (depth == 0 && (is_space(c) || c == '$' || c == '}')) break;
    if (c == '{') ++depth;
    if (c == '}') --depth;
    if (c != '\\') continue;
    const std::string_view command = command_at(text, end);
    if (is_box(command)) return begin;
    // \) and \] end the mathematics.
    if (command.empty()) break;
    end += command.size();
  }
  if (depth > 0 || end - begin >= kBytesMax) return begin;
  while (end > begin && std::string_view(".,;:!?").find(text[end - 1]) != std::string_view::npos) {
    --end;
  }
  // "put it in \boxed form" boxes nothing.
  for (size_t i = begin; i + 1 < end && text[i] != '\\'; ++i) {
    if (is_letter(text[i]) && is_letter(text[i + 1])) return begin;
  }
  return end;
}

Boxes find_boxes(std::string_view text) {
  constexpr size_t kPlainBrace = SIZE_MAX;
  Boxes boxes;
  std::vector<Box> open;  // begin = kPlainBrace for a brace that is no box's.
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') {
      open.push_back({kPlainBrace, 0, 0, 0});
    } else if (text[i] == '}' && !open.empty()) {
      Box box = open.back();
      open.pop_back();
      if (box.begin == kPlainBrace) continue;
      box.end = i;
      box.after = i + 1;
      while (!boxes.closed.empty() && boxes.closed.back().begin > box.begin) {
        boxes.closed.pop_back();
      }
      boxes.closed.push_back(box);
    } else if (text[i] == '\\') {
      const size_t begin = i;
      if (text.substr(i + 1).starts_with('\\') && is_box(command_at(text, i + 1))) {
        ++i;  // \\boxed, escaped once too often.
      }
      const std::string_view command = command_at(text, i);
      if (command.empty()) {
        ++i;  // \{ and \} are characters and not braces.
        continue;
      }
      i += command.size();
      if (!is_box(command)) continue;
      boxes.has_any = true;
      size_t brace = i + 1;
      while (brace < text.size() && is_space(text[brace])) ++brace;
      if (brace < text.size() && text[brace] == '{') {
        open.push_back({begin, brace + 1, 0, 0});
        i = brace;
      } else if (const size_t end = bare_content_end(text, brace);
                 end > brace && text.substr(i, brace - i).find('\n') == text.npos) {
        boxes.closed.push_back({begin, brace, end, end});
        i = end - 1;
      }
    }
  }
  return boxes;
}

constexpr std::array<std::string_view, 5> kTypography = {"quad", "qquad", "text", "mbox", "textrm"};

// True for the ", ", " or " and the like between parts of one answer.
bool is_joiner(std::string_view gap) {
  constexpr size_t kJoinerBytesMax = 64;
  if (gap.size() > kJoinerBytesMax) return false;
  std::string letters;
  for (size_t i = 0; i < gap.size(); ++i) {
    const char c = gap[i];
    if (c == '\\') {
      const std::string_view name = command_at(gap, i);
      if (!name.empty() && !contains(kTypography, name)) return false;
      i += std::max<size_t>(name.size(), 1);  // \( and the like are delimiters.
    } else if (is_letter(c)) {
      letters += to_lower(c);
    } else if (!is_space(c) && std::string_view("$,;{}").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return letters.empty() || letters == "or" || letters == "and";
}

// A line that is drawn between two boxes: "+++".
bool is_rule(std::string_view gap) {
  constexpr size_t kLengthMin = 3;
  gap = trimmed(gap);
  return gap.size() >= kLengthMin &&
         std::string_view("+-*=_~#").find(gap[0]) != std::string_view::npos &&
         gap.find_first_not_of(gap[0]) == gap.npos;
}

// "apples and ", " for part (a) or ": words of one sentence with "and" or "or" among them.
bool has_joining_word(std::string_view gap) {
  constexpr size_t kGapBytesMax = 70;
  if (gap.size() > kGapBytesMax) return false;
  constexpr std::array<std::string_view, 8> kDenials = {"not",     "no",     "never", "nor",
                                                        "instead", "rather", "but",   "wrong"};
  bool is_joined = false;
  bool is_denied = false;
  std::string word;
  const auto end_word = [&] {
    is_joined = is_joined || word == "and" || word == "or";
    is_denied = is_denied || contains(kDenials, word);
    word.clear();
  };
  for (size_t i = 0; i < gap.size(); ++i) {
    const char c = gap[i];
    if (is_letter(c)) {
      word += to_lower(c);
      continue;
    }
    end_word();
    if (c == '\\') {
      const std::string_view name = command_at(gap, i);
      if (!name.empty() && !contains(kTypography, name)) return false;
      i += std::max<size_t>(name.size(), 1);
    } else if (!is_space(c) && std::string_view("$,{}()").find(c) == std::string_view::npos) {
      return false;
    }
  }
  end_word();
  return is_joined && !is_denied;
}

// Where the "y_2 =" in front of a box begins; text.size() where there is no "=", and nothing where
// it stands behind something that is no name.
std::optional<size_t> name_before_end(std::string_view text) {
  constexpr size_t kLettersMax = 2;
  const auto trim = [&] {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  };
  const size_t whole = text.size();
  trim();
  if (!text.ends_with('=')) return whole;
  text.remove_suffix(1);
  trim();
  if (text.ends_with('}')) {  // y_{2}
    const size_t open = text.rfind('{');
    if (open == text.npos || open == 0) return {};
    text = text.substr(0, open);
    if (!text.ends_with('_')) return {};
    text.remove_suffix(1);
  } else if (text.size() > 2 && text[text.size() - 2] == '_') {
    text.remove_suffix(2);
  }
  size_t begin = text.size();
  while (begin > 0 && is_letter(text[begin - 1])) --begin;
  if (begin == text.size()) return {};
  const bool is_command = begin > 0 && text[begin - 1] == '\\';
  if (is_command) return begin - 1;
  if (text.size() - begin > kLettersMax) return {};
  const bool is_part =
      begin > 0 && (is_digit(text[begin - 1]) ||
                    std::string_view("_^)+-*/").find(text[begin - 1]) != std::string_view::npos);
  return is_part ? std::nullopt : std::optional<size_t>(begin);
}

// The last boxes that words join, with the names in front of them; nothing if those are no more
// than the ones from `first` on.
std::optional<JoinedBoxes> joined_by_words(std::string_view text, const std::vector<Box>& closed,
                                           size_t first) {
  constexpr size_t kBytesMax = 4096;
  JoinedBoxes joined{.is_named = true};
  std::string& all = joined.text;
  for (size_t i = closed.size(); i-- > 0;) {
    const Box& box = closed[i];
    const size_t from = i > 0 ? closed[i - 1].after : 0;
    const std::string_view before = text.substr(from, box.begin - from);
    const auto name = name_before_end(before);
    if (!name) return {};
    const std::string_view content =
        trimmed(text.substr(box.content_begin, box.end - box.content_begin));
    all = std::string(before.substr(*name)) + std::string(content) + (all.empty() ? "" : ",") + all;
    if (all.size() > kBytesMax || joined.words.size() > kBytesMax) return {};
    const bool has_name = *name < before.size() || content.find('=') != content.npos;
    joined.is_named = joined.is_named && has_name;
    const std::string_view gap = before.substr(0, *name);
    const bool is_first = i == 0 || (!is_joiner(gap) && !has_joining_word(gap) && !is_rule(gap));
    if (is_first) return i < first ? std::optional(std::move(joined)) : std::nullopt;
    for (size_t at = gap.size(); at-- > 0;) {
      if (is_letter(gap[at])) joined.words.insert(joined.words.begin(), to_lower(gap[at]));
    }
  }
  return {};
}

ExtractedAnswer boxed_answer(std::string_view text, const Boxes& boxes, bool is_list) {
  if (boxes.closed.empty()) return {{}, "the box of the answer is not closed", {}};
  const auto content = [&](const Box& box) {
    return trimmed(text.substr(box.content_begin, box.end - box.content_begin));
  };
  const std::vector<Box>& closed = boxes.closed;
  size_t first = closed.size() - 1;
  while (first > 0 && is_joiner(text.substr(closed[first - 1].after,
                                            closed[first].begin - closed[first - 1].after))) {
    --first;
  }
  std::string answer(content(closed.back()));
  const bool is_hedged =
      std::any_of(closed.begin() + static_cast<std::ptrdiff_t>(first), closed.end(),
                  [&](const Box& box) { return content(box) != answer; });
  if (is_hedged && !is_list) return {{}, "several boxes side by side are not one answer", {}};
  if (is_hedged) {
    answer.clear();
    for (size_t i = first; i < closed.size(); ++i) {
      answer += (i > first ? "," : "") + std::string(content(closed[i]));
    }
  }
  if (answer.empty()) return {{}, "the box of the answer is empty", {}};
  return {std::move(answer), {}, is_list ? joined_by_words(text, closed, first) : std::nullopt};
}

size_t count(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

}  // namespace

std::optional<BoxedPart> boxed_part(std::string_view text) {
  const Boxes boxes = find_boxes(text);
  if (boxes.closed.empty()) return {};
  const ExtractedAnswer answer = boxed_answer(text, boxes, true);
  if (answer.joined) return {{answer.joined->text, answer.joined->words}};
  return {{answer.text.value_or(""), {}}};
}

ExtractedAnswer extract_answer(std::string_view response, bool is_list) {
  constexpr std::string_view kThinkClose = "</think>";
  constexpr std::string_view kAnswerOpen = "<answer>";
  constexpr std::string_view kAnswerClose = "</answer>";
  std::string_view text = response;
  if (const size_t end = text.rfind(kThinkClose); end != text.npos) {
    text = text.substr(end + kThinkClose.size());
  }
  if (text.find("<think>") != text.npos) return {{}, "the thinking is not closed", {}};

  // Tags in capitals are the same tags. The copy has a tag, so nothing of it is handed out as
  // unmarked text.
  std::string with_small_tags;
  if (text.find("<ANSWER>") != response.npos || text.find("<Answer>") != response.npos) {
    with_small_tags = text;
    for (const std::string_view tag : {"<ANSWER>", "</ANSWER>", "<Answer>", "</Answer>"}) {
      const std::string_view small = tag[1] == '/' ? kAnswerClose : kAnswerOpen;
      for (size_t at = with_small_tags.find(tag); at != std::string::npos;
           at = with_small_tags.find(tag, at)) {
        with_small_tags.replace(at, tag.size(), small);
      }
    }
    text = with_small_tags;
  }

  const size_t num_open = count(text, kAnswerOpen);
  const size_t num_close = count(text, kAnswerClose);
  const bool is_tagged = num_open + num_close > 0;
  if (is_tagged) {
    const size_t begin = text.find(kAnswerOpen);
    const size_t end = text.find(kAnswerClose);
    if (num_open != 1 || num_close != 1 || end < begin) {
      return {{}, "there is not exactly one <answer>...</answer>", {}};
    }
    text = text.substr(begin + kAnswerOpen.size(), end - begin - kAnswerOpen.size());
  }
  if (const Boxes boxes = find_boxes(text); boxes.has_any) {
    return boxed_answer(text, boxes, is_list);
  }
  const auto marked = marked_answer(text);
  if (!marked && !is_tagged) {
    return {{}, "there is no box, no <answer> tag and no \"Answer:\" line", {}, text};
  }
  std::string answer = marked ? *marked : plain_answer(text);
  if (answer.empty()) return {{}, "the answer is empty", {}};
  return {std::move(answer), {}, {}};
}

}  // namespace troupe::actors

#include "actors/verifier/code/code_blocks.h"

#include <algorithm>
#include <optional>

#include "actors/verifier/code/language.h"

namespace troupe::actors {
namespace {

constexpr std::string_view kSpace = " \t\r";
constexpr size_t kFenceLengthMin = 3;

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// How often the character at `at` stands there in a row.
size_t run_length(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(text[at], at), text.size()) - at;
}

struct Fence {
  char character = '`';
  size_t length = 0;
  size_t indentation = 0;  // Of the code below it.
  std::string_view label{};
};

// The fence with which a line begins.
std::optional<Fence> leading_fence(std::string_view line) {
  const size_t at = line.find_first_not_of(kSpace);
  if (at == line.npos || (line[at] != '`' && line[at] != '~')) return {};
  const size_t length = run_length(line, at);
  if (length < kFenceLengthMin) return {};
  const std::string_view label = trimmed(line.substr(at + length));
  // ```x``` is code within a line.
  if (line[at] == '`' && label.find('`') != label.npos) return {};
  return Fence{line[at], length, at, label};
}

// Where the line's only run of fence characters begins; nothing where there are more.
std::optional<size_t> lone_run(std::string_view line, char character, size_t length_min) {
  std::optional<size_t> found;
  for (size_t at = line.find(character); at != line.npos; at = line.find(character, at)) {
    const size_t length = run_length(line, at);
    if (length >= length_min) {
      if (found) return {};
      found = at;
    }
    at += length;
  }
  return found;
}

// "- " and "12. " in front of something.
bool is_list_mark(std::string_view text) {
  text = trimmed(text);
  if (text == "-" || text == "*" || text == "+") return true;
  if (text.size() < 2 || (text.back() != '.' && text.back() != ')')) return false;
  text.remove_suffix(1);
  return text.find_first_not_of("0123456789") == text.npos;
}

// The fence that a line has behind its text, with nothing or a word as its label.
std::optional<Fence> fence_behind_text(std::string_view line) {
  const auto at = lone_run(line, '`', kFenceLengthMin);
  if (!at) return {};
  const size_t length = run_length(line, *at);
  const std::string_view label = trimmed(line.substr(*at + length));
  if (label.find_first_of(" \t`'\").,;:") != label.npos && !labelled_language(label)) return {};
  const std::string_view before = line.substr(0, *at);
  const size_t indentation =
      is_list_mark(before) ? *at : std::min(line.find_first_not_of(kSpace), line.size());
  return Fence{'`', length, indentation, label};
}

// Lines without the indentation of their fence, where the first of them has it.
std::string unindented(std::string_view block, size_t indentation) {
  const size_t first = block.find_first_not_of(" \t\r\n");
  if (indentation == 0 || first == block.npos) return std::string(block);
  const size_t line_begin = block.rfind('\n', first);
  const size_t begin = line_begin == block.npos ? 0 : line_begin + 1;
  if (first - begin < indentation) return std::string(block);
  std::string text;
  while (!block.empty()) {
    std::string_view line = block.substr(0, std::min(block.find('\n'), block.size() - 1) + 1);
    block.remove_prefix(line.size());
    line.remove_prefix(std::min({indentation, line.find_first_not_of(" \t"), line.size()}));
    text += line;
  }
  return text;
}

}  // namespace

CodeBlocks find_code_blocks(std::string_view text) {
  CodeBlocks blocks;
  std::optional<Fence> open;
  size_t block_begin = 0;
  const auto close = [&](size_t end) {
    const std::string_view inside = text.substr(block_begin, end - block_begin);
    blocks.closed.push_back({open->label, unindented(inside, open->indentation)});
    open.reset();
  };
  for (size_t at = 0, next = 0; at < text.size(); at = next) {
    const size_t end = std::min(text.find('\n', at), text.size());
    next = std::min(end + 1, text.size());
    const std::string_view line = text.substr(at, end - at);
    const auto fence = leading_fence(line);
    if (!open) {
      open = fence ? fence : fence_behind_text(line);
      block_begin = next;
      blocks.has_any = blocks.has_any || open;
    } else if (fence && fence->character == open->character && fence->length >= open->length) {
      if (labelled_language(fence->label)) {
        open = fence;
        block_begin = next;
      } else {
        close(at);
      }
    } else if (const auto run = lone_run(line, open->character, open->length)) {
      if (trimmed(line.substr(*run + run_length(line, *run))).empty()) close(at + *run);
    }
  }
  return blocks;
}

}  // namespace troupe::actors

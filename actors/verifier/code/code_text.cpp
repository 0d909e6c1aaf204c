#include "actors/verifier/code/code_text.h"

#include <algorithm>

#include "actors/verifier/code/language.h"

namespace troupe::actors {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

size_t count(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

enum class Label : uint8_t { kOther, kNone, kWanted };

// "python", "Python 3", "cpp17", "{.python}", "python title=x": the first word without digits.
Label label_of(std::string_view text, std::string_view language) {
  std::string word;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    const bool is_part = (c >= 'a' && c <= 'z') || c == '+' || c == '#';
    if (is_part) word += c;
    if (!is_part && !word.empty()) break;
  }
  if (word.empty()) return Label::kNone;
  const Language* found = find_language(language);
  const bool is_wanted =
      found && std::find(found->labels.begin(), found->labels.end(), word) != found->labels.end();
  return is_wanted ? Label::kWanted : Label::kOther;
}

// Lines without the indentation of the fence, where they have it.
std::string unindented(std::string_view block, size_t indentation) {
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

ExtractedCode extract_code(std::string_view response, std::string_view language) {
  constexpr std::string_view kThinkEnd = "</think>", kBegin = "<answer>", kEnd = "</answer>";
  if (const size_t end = response.rfind(kThinkEnd); end != response.npos) {
    response.remove_prefix(end + kThinkEnd.size());
  }
  const size_t begins = count(response, kBegin), ends = count(response, kEnd);
  const bool has_answer = begins + ends > 0;
  if (has_answer) {
    const size_t begin = response.find(kBegin), end = response.find(kEnd);
    if (begins != 1 || ends != 1 || end < begin) {
      return {{}, "there is not exactly one <answer>...</answer>"};
    }
    response = response.substr(begin + kBegin.size(), end - begin - kBegin.size());
  }
  // Fences stand at the beginning of a line. A block without a label counts where none has one of
  // the language's.
  std::optional<std::string> labelled, unlabelled;
  bool has_fence = false, is_open = false;
  Label label = Label::kOther;
  size_t block_begin = 0, indentation = 0;
  for (size_t at = 0; at < response.size();) {
    const size_t end = std::min(response.find('\n', at), response.size());
    std::string_view line = response.substr(at, end - at);
    const size_t next = std::min(end + 1, response.size());
    const size_t space = std::min(line.find_first_not_of(kSpace), line.size());
    line.remove_prefix(space);
    if (line.starts_with("```")) {
      has_fence = true;
      if (!is_open) {
        label = label_of(line.substr(3), language);
        block_begin = next;
        indentation = space;
      } else if (label != Label::kOther) {
        auto& block = label == Label::kWanted ? labelled : unlabelled;
        block = unindented(response.substr(block_begin, at - block_begin), indentation);
      }
      is_open = !is_open;
    }
    at = end + 1;
  }
  if (labelled) return {std::move(labelled), {}};
  if (unlabelled) return {std::move(unlabelled), {}};
  if (has_fence) return {{}, "no closed block of code in the language asked for"};
  if (!has_answer) return {{}, "neither a block of code nor <answer> tags"};
  if (response.find_first_not_of(kSpace) == response.npos) return {{}, "the answer is empty"};
  // A one-line answer may have spaces around it, which Python minds in front.
  if (response.find('\n') == response.npos) {
    response.remove_prefix(response.find_first_not_of(kSpace));
  }
  return {std::string(response), {}};
}

}  // namespace troupe::actors

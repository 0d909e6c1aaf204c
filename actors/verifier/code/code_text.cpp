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

bool is_label_of(std::string_view label, std::string_view language) {
  std::string lower(label);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const Language* found = find_language(language);
  return lower.empty() || (found && std::find(found->labels.begin(), found->labels.end(), lower) !=
                                        found->labels.end());
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
  // Fences stand at the beginning of a line.
  std::optional<std::string_view> block;
  bool has_fence = false, is_open = false, is_wanted = false;
  size_t block_begin = 0;
  for (size_t at = 0; at < response.size();) {
    const size_t end = std::min(response.find('\n', at), response.size());
    std::string_view line = response.substr(at, end - at);
    const size_t next = std::min(end + 1, response.size());
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    if (line.starts_with("```")) {
      has_fence = true;
      if (!is_open) {
        line.remove_prefix(3);
        line = line.substr(0, line.find_last_not_of(kSpace) + 1);
        is_wanted = is_label_of(line, language);
        block_begin = next;
      } else if (is_wanted) {
        block = response.substr(block_begin, at - block_begin);
      }
      is_open = !is_open;
    }
    at = end + 1;
  }
  if (block) return {std::string(*block), {}};
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

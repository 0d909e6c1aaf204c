#include "actors/verifier/format_verdict.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace troupe::actors {
namespace {

constexpr std::string_view kTags[] = {"<think>", "</think>", "<answer>", "</answer>"};

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

VerdictPart malformed(std::string reason) {
  return {.name = "r1_format",
          .kind = VerdictKind::kMalformed,
          .value = 0,
          .reason = std::move(reason)};
}

}  // namespace

VerdictPart verify_r1_format(std::string_view response) {
  size_t end = 0;  // Of the tag before.
  for (size_t i = 0; i < 4; ++i) {
    const std::string_view tag = kTags[i];
    const size_t begin = response.find(tag);
    if (begin == response.npos) return malformed(fmt::format("{} is missing", tag));
    if (response.find(tag, begin + tag.size()) != response.npos) {
      return malformed(fmt::format("{} occurs more than once", tag));
    }
    if (begin < end) return malformed(fmt::format("{} comes too early", tag));
    const bool is_outside = i % 2 == 0;
    if (is_outside && !is_blank(response.substr(end, begin - end))) {
      return malformed(fmt::format("there is text before {}", tag));
    }
    end = begin + tag.size();
  }
  if (!is_blank(response.substr(end))) return malformed("there is text after </answer>");
  return {.name = "r1_format",
          .kind = VerdictKind::kWellFormed,
          .value = 1,
          .reason = "one <think> part and one <answer> part"};
}

bool has_thinking(std::string_view response) {
  const size_t begin = response.find(kTags[0]);
  if (begin == response.npos) return false;
  const size_t end = response.find(kTags[1], begin);
  if (end == response.npos) return false;
  const size_t content = begin + kTags[0].size();
  return !is_blank(response.substr(content, end - content));
}

}  // namespace troupe::actors

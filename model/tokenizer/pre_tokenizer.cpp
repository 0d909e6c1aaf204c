#include "model/tokenizer/pre_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/unicode.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;
using Behavior = PreTokenizer::Behavior;

constexpr int kDepthMax = 4;
constexpr size_t kStepsMax = 16;

constexpr std::string_view kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

Result<Behavior> behavior_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Behavior>, 5> kNames = {{
      {"Isolated", Behavior::kIsolated},
      {"Removed", Behavior::kRemoved},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous},
  }};
  for (const auto& [known, behavior] : kNames) {
    if (known == name) return behavior;
  }
  return invalid_argument(
      fmt::format("pre_tokenizer Split has the unknown behavior {}", shown_name(name)));
}

// {"Regex": "..."} or {"String": "..."}.
Result<Regex> pattern_of(const Json& json) {
  if (const std::string* text = find_string(json, "Regex")) return Regex::compile(*text);
  if (const std::string* text = find_string(json, "String")) return Regex::literal(*text);
  return invalid_argument("pre_tokenizer Split has no pattern of type Regex or String");
}

}  // namespace

Result<PreTokenizer> PreTokenizer::parse(const Json& json) {
  PreTokenizer made;
  if (json.is_null()) return made;
  if (Status status = made.add(json, 0); !status) return status.error();
  return made;
}

Status PreTokenizer::add(const Json& json, int depth) {
  const std::string type = type_of(json);
  if (is_byte_level_) {
    return invalid_argument(
        fmt::format("pre_tokenizer {} after ByteLevel is not supported", shown_name(type)));
  }
  if (steps_.size() >= kStepsMax || depth > kDepthMax) {
    return invalid_argument("pre_tokenizer has too many steps");
  }
  if (type == "Sequence") {
    const Json* parts = find_array(json, "pretokenizers");
    if (parts == nullptr) return invalid_argument("pre_tokenizer Sequence has no pretokenizers");
    for (const Json& part : *parts) {
      if (Status status = add(part, depth + 1); !status) return status;
    }
    return ok();
  }
  Step step;
  Result<Regex> pattern = invalid_argument("");
  if (type == "ByteLevel") {
    is_byte_level_ = true;
    step.adds_space = find_bool(json, "add_prefix_space", true);
    if (!find_bool(json, "use_regex", true)) {
      if (step.adds_space) steps_.push_back(std::move(step));
      return ok();
    }
    pattern = Regex::compile(kGpt2Pattern);
  } else if (type == "Digits") {
    pattern = Regex::compile(find_bool(json, "individual_digits", false) ? "\\p{N}" : "\\p{N}+");
  } else if (type == "Split") {
    const std::string* name = find_string(json, "behavior");
    auto behavior = behavior_of(name == nullptr ? "" : *name);
    if (!behavior) return behavior.error();
    step.behavior = *behavior;
    step.is_inverse = find_bool(json, "invert", false);
    pattern = pattern_of(json.contains("pattern") ? json["pattern"] : Json());
  } else {
    return invalid_argument(fmt::format(
        "pre_tokenizer {} is not supported; there are ByteLevel, Split, Digits and Sequence",
        shown_name(type)));
  }
  if (!pattern) {
    return invalid_argument(fmt::format("pre_tokenizer {}: {}", type, pattern.error().message));
  }
  step.pattern = std::make_shared<const Regex>(std::move(*pattern));
  steps_.push_back(std::move(step));
  return ok();
}

WordSplitter::WordSplitter(const PreTokenizer& rules) : rules_(rules) {
  static const Regex none = *Regex::literal("");
  for (const auto& step : rules.steps_) {
    scanners_.emplace_back(step.pattern ? *step.pattern : none);
  }
}

Status WordSplitter::split(std::string_view text,
                           const std::function<void(std::string_view)>& word) {
  word_ = &word;
  if (apply(0, text)) return ok();
  return invalid_argument("the tokenizer's pattern needs too much work on this text");
}

bool WordSplitter::apply(size_t index, std::string_view text) {
  if (text.empty()) return true;
  if (index == rules_.steps_.size()) {
    (*word_)(text);
    return true;
  }
  const auto& step = rules_.steps_[index];
  if (!step.adds_space || text[0] == ' ') return cut(index, text);
  const std::string spaced = " " + std::string(text);
  return cut(index, spaced);
}

bool WordSplitter::cut(size_t index, std::string_view text) {
  const auto& step = rules_.steps_[index];
  if (!step.pattern) return apply(index + 1, text);
  const auto give = [&](size_t begin, size_t end) {
    return apply(index + 1, text.substr(begin, end - begin));
  };
  // A piece that may still grow, for the behaviors that merge.
  struct Piece {
    size_t begin = 0;
    size_t end = 0;
    bool is_match = false;
  };
  std::optional<Piece> open;
  const auto piece = [&](size_t begin, size_t end, bool is_found) {
    const bool is_match = is_found != step.is_inverse;
    bool joins = false;
    switch (step.behavior) {
      case Behavior::kIsolated:
        return give(begin, end);
      case Behavior::kRemoved:
        return is_match || give(begin, end);
      case Behavior::kMergedWithPrevious:
        joins = open && is_match && !open->is_match;
        break;
      case Behavior::kMergedWithNext:
        joins = open && !is_match && open->is_match;
        break;
      case Behavior::kContiguous:
        joins = open && is_match == open->is_match;
        break;
    }
    if (joins) {
      open->end = end;
      open->is_match = is_match;
      return true;
    }
    const bool is_given = !open || give(open->begin, open->end);
    open = Piece{begin, end, is_match};
    return is_given;
  };

  RegexScanner& scanner = scanners_[index];
  size_t done = 0;  // Everything before it was given.
  size_t from = 0;
  std::optional<size_t> last_end;
  RegexScanner::Match match;
  while (from <= text.size()) {
    const auto found = scanner.find(text, from, match);
    if (found == RegexScanner::Found::kGaveUp) return false;
    if (found == RegexScanner::Found::kNone) break;
    // An empty match right after a match is none.
    if (match.begin == match.end && last_end == match.end) {
      from += from < text.size() ? character_bytes(text.substr(from)) : 1;
      continue;
    }
    if (done < match.begin && !piece(done, match.begin, false)) return false;
    if (!piece(match.begin, match.end, true)) return false;
    done = from = match.end;
    last_end = match.end;
  }
  if (done < text.size() && !piece(done, text.size(), false)) return false;
  return !open || give(open->begin, open->end);
}

}  // namespace troupe::model

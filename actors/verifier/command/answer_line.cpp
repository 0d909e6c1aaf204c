#include "actors/verifier/command/answer_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "actors/verifier/printable.h"
#include "schemas/json_text.h"

namespace troupe::actors {
namespace {

constexpr int kDepthMax = 8;
constexpr size_t kReasonBytesMax = 500;

Error malformed(std::string_view line, std::string_view why) {
  return {ErrorCode::kInternal,
          fmt::format("the program's answer {}: {}", why, printable(line, /*bytes_max=*/80))};
}

// How deep brackets are nested outside of strings; the parser is not asked about more.
int depth_of(std::string_view line) {
  int depth = 0, deepest = 0;
  bool is_string = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (is_string) {
      if (c == '\\') ++i;
      if (c == '"') is_string = false;
      continue;
    }
    if (c == '"') is_string = true;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

}  // namespace

std::string question_line(uint64_t id, const ResponseToJudge& response) {
  const nlohmann::ordered_json question{{"id", id},
                                        {"prompt", std::string(response.prompt)},
                                        {"response", std::string(response.text)},
                                        {"gold", std::string(response.gold)}};
  return to_text(question, {.replaces_invalid = true}) + "\n";
}

Result<VerdictPart> read_answer_line(std::string_view line, uint64_t id) {
  if (line.size() > kAnswerLineBytesMax) return malformed(line, "is too long");
  if (depth_of(line) > kDepthMax) return malformed(line, "is nested too deeply");
  const auto json = parse_json(line);
  if (!json.is_object()) return malformed(line, "is not one JSON object");
  const auto answered = json.find("id");
  if (answered == json.end() || !answered->is_number_integer() || *answered != id) {
    return malformed(line, fmt::format("is not to the question with id {}", id));
  }
  const auto score = json.find("score");
  if (score == json.end() || !score->is_number()) return malformed(line, "has no score");
  const auto value = score->get<double>();
  if (!std::isfinite(value) || value < 0 || value > 1) {
    return malformed(line, "has a score that is not in [0, 1]");
  }
  VerdictPart part{.kind = VerdictKind::kScored, .value = static_cast<float>(value)};
  const auto reason = json.find("reason");
  if (reason != json.end() && reason->is_string()) {
    part.reason = printable(reason->get_ref<const std::string&>(), kReasonBytesMax);
  } else {
    part.reason = "scored by the program";
  }
  return part;
}

}  // namespace troupe::actors

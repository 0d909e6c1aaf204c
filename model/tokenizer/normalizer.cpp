#include "model/tokenizer/normalizer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/unicode.h"

namespace troupe::model {
namespace {

constexpr int kDepthMax = 4;
constexpr size_t kStepsMax = 16;
constexpr size_t kTextBytesMax = 64;  // So that text grows by no more than this factor a step.

}  // namespace

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  while (true) {
    const size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == text.npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

Result<Normalizer> Normalizer::parse(const nlohmann::json& json) {
  Normalizer made;
  if (json.is_null()) return made;
  if (Status status = made.add(json, 0); !status) return status.error();
  return made;
}

Status Normalizer::add(const nlohmann::json& json, int depth) {
  const std::string type = type_of(json);
  if (steps_.size() >= kStepsMax || depth > kDepthMax) {
    return invalid_argument("normalizer has too many steps");
  }
  if (type == "Sequence") {
    const auto* parts = find_array(json, "normalizers");
    if (parts == nullptr) return invalid_argument("normalizer Sequence has no normalizers");
    for (const auto& part : *parts) {
      if (Status status = add(part, depth + 1); !status) return status;
    }
    return ok();
  }
  Step step;
  if (type == "Prepend") {
    const std::string* text = find_string(json, "prepend");
    if (text == nullptr) return invalid_argument("normalizer Prepend has no text");
    step = {.kind = Kind::kPrepend, .to = *text};
  } else if (type == "Replace") {
    const auto* pattern = find_field(json, "pattern");
    const std::string* from = pattern == nullptr ? nullptr : find_string(*pattern, "String");
    const std::string* to = find_string(json, "content");
    if (from == nullptr || from->empty() || to == nullptr) {
      return invalid_argument("normalizer Replace is supported for a plain text only");
    }
    step = {.kind = Kind::kReplace, .from = *from, .to = *to};
  } else if (type != "NFC") {
    return invalid_argument(
        fmt::format("normalizer {} is not supported; there are NFC, Prepend, Replace and Sequence",
                    shown_name(type)));
  }
  if (step.from.size() > kTextBytesMax || step.to.size() > kTextBytesMax) {
    return invalid_argument(fmt::format("normalizer {} has a text that is too long", type));
  }
  // Growth multiplies: one replacement is all that real files have.
  if (step.kind == Kind::kReplace) {
    for (const Step& other : steps_) {
      if (other.kind == Kind::kReplace && step.to.size() > step.from.size()) {
        return invalid_argument("normalizer has several Replace that make text longer");
      }
    }
  }
  steps_.push_back(std::move(step));
  return ok();
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kNfc:
        out = to_nfc(out);
        break;
      case Kind::kPrepend:
        out.insert(0, step.to);
        break;
      case Kind::kReplace:
        out = replaced(out, step.from, step.to);
        break;
    }
  }
  return out;
}

}  // namespace troupe::model

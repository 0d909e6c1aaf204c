#include "schemas/json_text.h"

namespace troupe {
namespace {

template <class Json>
std::string text_of(const Json& json, JsonLayout layout) {
  using OnError = typename Json::error_handler_t;
  return json.dump(layout.indent, ' ', layout.is_ascii,
                   layout.replaces_invalid ? OnError::replace : OnError::strict);
}

}  // namespace

nlohmann::json parse_json(std::string_view text) {
  return parse_json(text, nlohmann::json::parser_callback_t());
}

nlohmann::ordered_json parse_ordered_json(std::string_view text) {
  return nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

nlohmann::json parse_json(std::string_view text, int depth_max) {
  bool is_too_deep = false;
  auto json = parse_json(text, [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    is_too_deep = is_too_deep || depth > depth_max;
    return !is_too_deep;
  });
  if (is_too_deep) return nlohmann::json(nlohmann::json::value_t::discarded);
  return json;
}

nlohmann::json parse_json(std::string_view text, const nlohmann::json::parser_callback_t& watch) {
  return nlohmann::json::parse(text, watch, /*allow_exceptions=*/false);
}

std::string to_text(const nlohmann::json& json, JsonLayout layout) { return text_of(json, layout); }

std::string to_text(const nlohmann::ordered_json& json, JsonLayout layout) {
  return text_of(json, layout);
}

}  // namespace troupe

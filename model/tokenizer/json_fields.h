// Reading JSON that may be anything: what is missing or of another type is null or the default.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace troupe::model {

// Discarded when it is no JSON, or deeper than any file of a model: copying a tree and writing it
// take stack for each level.
inline nlohmann::json parse_json(std::string_view text) {
  constexpr int kDepthMax = 64;
  bool is_too_deep = false;
  auto json = nlohmann::json::parse(
      text,
      [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
        is_too_deep = is_too_deep || depth > kDepthMax;
        return !is_too_deep;
      },
      /*allow_exceptions=*/false);
  if (is_too_deep) return nlohmann::json(nlohmann::json::value_t::discarded);
  return json;
}

inline const nlohmann::json* find_field(const nlohmann::json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

inline const std::string* find_string(const nlohmann::json& json, const char* key) {
  const auto* found = find_field(json, key);
  return found == nullptr ? nullptr : found->get_ptr<const std::string*>();
}

inline const nlohmann::json* find_array(const nlohmann::json& json, const char* key) {
  const auto* found = find_field(json, key);
  return found == nullptr || !found->is_array() ? nullptr : found;
}

inline bool find_bool(const nlohmann::json& json, const char* key, bool otherwise) {
  const auto* found = find_field(json, key);
  return found == nullptr || !found->is_boolean() ? otherwise : found->get<bool>();
}

inline std::string type_of(const nlohmann::json& json) {
  const std::string* type = find_string(json, "type");
  return type == nullptr ? "" : *type;
}

// A name out of a file, fit for one line of a message.
inline std::string shown_name(std::string_view name) {
  std::string shown(name.substr(0, 40));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown.empty() ? "without a type" : "\"" + shown + "\"";
}

}  // namespace troupe::model

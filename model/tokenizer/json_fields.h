// Reading JSON that may be anything: what is missing or of another type is null or the default.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace troupe::model {

// Deeper than any file of a model.
inline constexpr int kFileDepthMax = 64;

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

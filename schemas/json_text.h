// JSON read from text and written to it, in one place: the library's parser and printer are
// templates, which every source that calls them would compile again.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace troupe {

// Discarded when it is no JSON.
nlohmann::json parse_json(std::string_view text);
nlohmann::ordered_json parse_ordered_json(std::string_view text);

// Discarded also when it is nested deeper: copying a tree and writing it take stack for each level.
nlohmann::json parse_json(std::string_view text, int depth_max);

// `watch` sees each event and says what is kept.
nlohmann::json parse_json(std::string_view text, const nlohmann::json::parser_callback_t& watch);

struct JsonLayout {
  int indent = -1;                // Below 0: all on one line, without spaces.
  bool is_ascii = false;          // Other characters are escaped.
  bool replaces_invalid = false;  // What is no UTF-8; otherwise it throws.
};

std::string to_text(const nlohmann::json& json, JsonLayout layout = {});
std::string to_text(const nlohmann::ordered_json& json, JsonLayout layout = {});

}  // namespace troupe

// JSON as data files have it: nothing is lost on the way in, and what is wrong is said with its
// place.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::model {

struct JsonFault {
  size_t offset = 0;  // Of the byte where reading ended.
  std::string what{};
};

constexpr int kJsonDepthMax = 200;

// Reads one value. A number that is no integer of 64 bits becomes a `binary` that holds its text,
// so that no digit is lost; number_text gives it back. Besides what is not JSON, a key that is
// there twice and nesting deeper than kJsonDepthMax are faults.
std::optional<JsonFault> read_json(std::string_view text, nlohmann::json& out);

// A number as it is written; nothing for another value.
std::optional<std::string> number_text(const nlohmann::json& value);

bool is_utf8(std::string_view text);

// For messages that quote a file: control characters become spaces.
std::string one_line(std::string text);

// Without white space at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace troupe::model

// Values as text: as Python prints them, and as JSON as its json.dumps writes it.
#pragma once

#include <optional>

#include "model/chat_template/run.h"

namespace troupe::model::chat_template {

// What {{ value }} writes; nothing for what is not defined. An error for what Python prints with an
// address or a name of its own.
Text printed(Run& run, int line, const Value& value);

struct JsonStyle {
  std::optional<int64_t> indent{};  // Spaces; nothing: all on one line.
  std::string item_separator{", "};
  std::string key_separator{": "};
  bool is_ascii = false;
  bool is_sorted = false;
};
Text as_json(Run& run, int line, const Value& value, const JsonStyle& style);

}  // namespace troupe::model::chat_template

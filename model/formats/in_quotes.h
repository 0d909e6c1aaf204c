// Names from files in messages: they may hold anything, but a message is one line of modest length.
#pragma once

#include <string>
#include <string_view>

namespace troupe::model {

inline std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 120;
  std::string line = "\"";
  for (char c : text.substr(0, kShown)) {
    line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return line + (text.size() > kShown ? "...\"" : "\"");
}

}  // namespace troupe::model

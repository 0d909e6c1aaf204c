#include "actors/verifier/printable.h"

#include "actors/verifier/unicode_script.h"

namespace troupe::actors {

std::string printable(std::string_view text, size_t bytes_max) {
  std::string shown;
  while (!text.empty()) {
    const Character character = first_character(text);
    if (shown.size() + character.num_bytes > bytes_max) return shown + "...";
    // U+0080 to U+009F are control characters too.
    const auto byte = static_cast<unsigned char>(text[0]);
    const bool is_control =
        byte < 0x20 || byte == 0x7F ||
        (byte == 0xC2 && text.size() > 1 && static_cast<unsigned char>(text[1]) < 0xA0);
    if (character.script == Script::kInvalid || is_control) {
      shown += '?';
    } else {
      shown += text.substr(0, character.num_bytes);
    }
    text.remove_prefix(character.num_bytes);
  }
  return shown;
}

}  // namespace troupe::actors

#include "cluster/monitor/key_reader.h"

#include <optional>

namespace troupe::cluster {
namespace {

constexpr char kEscapeByte = '\x1b';
constexpr size_t kSequenceBytesMax = 32;  // Longer ones are garbage.

std::optional<Pressed> kind_of_letter(char letter) {
  switch (letter) {
    case 'A':
      return Pressed::kUp;
    case 'B':
      return Pressed::kDown;
    case 'C':
      return Pressed::kRight;
    case 'D':
      return Pressed::kLeft;
    case 'H':
      return Pressed::kHome;
    case 'F':
      return Pressed::kEnd;
    default:
      return std::nullopt;
  }
}

std::optional<Pressed> kind_of_number(std::string_view number) {
  if (number == "1" || number == "7") return Pressed::kHome;
  if (number == "4" || number == "8") return Pressed::kEnd;
  if (number == "5") return Pressed::kPageUp;
  if (number == "6") return Pressed::kPageDown;
  return std::nullopt;
}

// Of a whole "ESC [ ... letter" or "ESC O letter", which may have modifiers behind a semicolon.
std::optional<Pressed> kind_of_sequence(std::string_view sequence) {
  if (sequence == "\x1bOM") return Pressed::kEnter;  // Of the keypad.
  if (sequence.back() != '~') return kind_of_letter(sequence.back());
  sequence.remove_prefix(2);
  return kind_of_number(sequence.substr(0, sequence.find_first_of(";~")));
}

}  // namespace

std::vector<KeyPress> KeyReader::read(std::string_view bytes) {
  std::vector<KeyPress> keys;
  for (const char byte : bytes) take(byte, keys);
  return keys;
}

std::vector<KeyPress> KeyReader::pause() {
  const bool was_escape = sequence_.size() == 1;
  sequence_.clear();
  return was_escape ? std::vector<KeyPress>{{Pressed::kEscape}} : std::vector<KeyPress>{};
}

void KeyReader::take(char byte, std::vector<KeyPress>& keys) {
  if (byte == kEscapeByte) {
    if (sequence_.size() == 1) keys.push_back({Pressed::kEscape});
    sequence_ = byte;
    return;
  }
  if (sequence_.size() == 1) {
    if (byte == '[' || byte == 'O') {
      sequence_ += byte;
    } else {
      sequence_.clear();  // With Alt, which says nothing here.
    }
    return;
  }
  if (!sequence_.empty()) {
    sequence_ += byte;
    const bool is_whole = byte >= '@' && byte <= '~';
    if (is_whole) {
      if (const auto kind = kind_of_sequence(sequence_)) keys.push_back({*kind});
    }
    if (is_whole || sequence_.size() >= kSequenceBytesMax) sequence_.clear();
    return;
  }
  if (byte == '\r' || byte == '\n') {
    keys.push_back({Pressed::kEnter});
  } else if (byte == '\f') {
    keys.push_back({Pressed::kRedraw});
  } else if (byte >= ' ' && byte <= '~') {
    keys.push_back({Pressed::kCharacter, byte});
  }
}

}  // namespace troupe::cluster

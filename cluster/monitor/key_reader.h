// Keys that somebody presses, read from the bytes that a terminal sends for them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

enum class Pressed : uint8_t {
  kCharacter,
  kUp,
  kDown,
  kLeft,
  kRight,
  kPageUp,
  kPageDown,
  kHome,
  kEnd,
  kEnter,
  kEscape,
  kRedraw,  // Ctrl-L
};

struct KeyPress {
  Pressed kind = Pressed::kCharacter;
  char character = 0;  // Of kCharacter: printable ASCII.

  bool operator==(const KeyPress&) const = default;
};

// A key may come in pieces, and Escape is how many others begin. What is no key of ours is dropped.
class KeyReader {
 public:
  std::vector<KeyPress> read(std::string_view bytes);

  // Nothing has come for a while: what looked like a beginning was Escape itself.
  std::vector<KeyPress> pause();

 private:
  void take(char byte, std::vector<KeyPress>& keys);

  std::string sequence_{};  // From Escape on; empty outside of one.
};

}  // namespace troupe::cluster

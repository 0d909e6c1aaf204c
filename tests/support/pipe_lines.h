// Lines between a test and a process that it forked.
#pragma once

#include <unistd.h>

#include <array>
#include <string>

#include "schemas/check.h"

namespace troupe::tests {

// Both ends of two pipes: lines to the process, and lines from it.
struct Wires {
  std::array<int, 2> to{}, from{};

  void open() { TROUPE_CHECK(::pipe(to.data()) == 0 && ::pipe(from.data()) == 0); }
  void close() const {
    for (const int end : {to[0], to[1], from[0], from[1]}) ::close(end);
  }
};

inline void write_line(int pipe, const std::string& line) {
  const std::string text = line + "\n";
  TROUPE_CHECK(::write(pipe, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// Without its end; empty when the other side has ended.
inline std::string read_line(int pipe) {
  std::string line;
  for (char c = 0; ::read(pipe, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

}  // namespace troupe::tests

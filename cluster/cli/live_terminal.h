// The terminal while a page with keys has all of it: keys come as they are pressed, nothing is
// echoed, and what was on the screen before is there again afterwards, however the program ends.
// (All but SIGKILL, which nobody hears.)
#pragma once

#include <chrono>
#include <string>

namespace troupe::cluster {

class LiveTerminal {
 public:
  // Takes the terminal behind standard input and output. One at a time, and before threads start:
  // it listens to the signals that end or stop a program. Without a terminal to read from there are
  // no keys.
  LiveTerminal();
  ~LiveTerminal();
  LiveTerminal(const LiveTerminal&) = delete;
  LiveTerminal& operator=(const LiveTerminal&) = delete;

  // What was typed, waiting for the first byte for so long.
  std::string typed(std::chrono::milliseconds patience);

  // SIGINT (Ctrl-C), SIGTERM, SIGHUP, or a terminal that is gone. A second signal ends the program.
  bool is_asked_to_leave() const;

  // True once after the program was stopped (Ctrl-Z) and goes on: the screen is empty.
  bool has_come_back();

 private:
  bool has_input_ = false;
  bool is_gone_ = false;
};

}  // namespace troupe::cluster

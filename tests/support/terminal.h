// The real program at a terminal of its own, and what stands on its screen.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/monitor/text.h"
#include "tests/support/process.h"

namespace troupe::tests {

// A screen of so many rows and columns that knows the few sequences a page is drawn with. Any other
// one is an error: so text that drives a terminal is found, whatever it would do.
class Screen {
 public:
  Screen(int columns, int rows) : columns_(columns), rows_(rows) { clear(); }

  void write(std::string_view bytes) {
    pending_ += bytes;
    while (!pending_.empty() && take()) {
    }
  }

  std::string text() const {
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }
  const std::string& errors() const { return errors_; }
  bool is_other_screen() const { return is_other_; }
  bool has_cursor() const { return has_cursor_; }
  // A page that is larger than the screen pushes its own first lines out.
  int rows_lost() const { return rows_lost_; }

 private:
  void clear() {
    lines_.assign(static_cast<size_t>(rows_), "");
    row_ = 0;
  }

  // Takes one character or sequence; false when it has not come whole.
  bool take() {
    const char first = pending_[0];
    if (first == '\x1b') return take_sequence();
    if (first == '\r') {
      column_is_first_ = true;
    } else if (first == '\n') {
      column_is_first_ = true;
      const std::string& ended = lines_[static_cast<size_t>(row_)];
      if (is_other_ && cluster::columns_of(ended) > columns_) errors_ += "wide: " + ended + "; ";
      if (++row_ == rows_) {
        row_ = rows_ - 1;
        lines_.erase(lines_.begin());
        lines_.push_back("");
        rows_lost_ += is_other_ ? 1 : 0;
      }
    } else if (static_cast<unsigned char>(first) < 0x20 || first == 0x7f) {
      errors_ += "control " + std::to_string(first) + "; ";
    } else {
      if (column_is_first_) lines_[static_cast<size_t>(row_)].clear();
      column_is_first_ = false;
      std::string& line = lines_[static_cast<size_t>(row_)];
      line += first;
    }
    pending_.erase(0, 1);
    return true;
  }

  bool take_sequence() {
    if (pending_.size() < 2) return false;
    const size_t end = pending_.find_first_not_of("?;0123456789", 2);
    if (end == std::string::npos) return false;
    const std::string sequence = pending_.substr(1, end);
    pending_.erase(0, end + 1);
    const char letter = sequence.back();
    if (sequence == "[?1049h" || sequence == "[?1049l") {
      is_other_ = letter == 'h';
      clear();
    } else if (sequence == "[?25h" || sequence == "[?25l") {
      has_cursor_ = letter == 'h';
    } else if (sequence == "[2J") {
      clear();
    } else if (sequence == "[H") {
      row_ = 0;
      column_is_first_ = true;
    } else if (sequence == "[2K") {
      lines_[static_cast<size_t>(row_)].clear();
    } else if (sequence == "[J") {
      for (auto line = lines_.begin() + row_; line != lines_.end(); ++line) line->clear();
    } else if (sequence[0] == '[' && letter == 'A') {
      row_ = std::max(0, row_ - std::atoi(sequence.c_str() + 1));
    } else if (sequence[0] != '[' || letter != 'm') {
      errors_ += "sequence " + sequence + "; ";
    }
    return true;
  }

  int columns_;
  int rows_;
  std::vector<std::string> lines_{};
  std::string pending_{};
  std::string errors_{};
  int row_ = 0;
  int rows_lost_ = 0;
  bool column_is_first_ = true;
  bool is_other_ = false;
  bool has_cursor_ = true;
};

// A shell's script at a terminal: the script tells with plain lines what is not on the screen.
class AtTerminal {
 public:
  AtTerminal(const std::string& script, int columns = 80, int rows = 24) : screen_(columns, rows) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
    ::execlp("bash", "bash", "--norc", "-c", script.c_str(), nullptr);
    ::_exit(127);
  }
  ~AtTerminal() {
    ::close(terminal_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  AtTerminal(const AtTerminal&) = delete;
  AtTerminal& operator=(const AtTerminal&) = delete;

  void type(std::string_view keys) {
    REQUIRE(::write(terminal_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
  }

  // Reads until `text` stands on the screen; false when the script has ended or time is up.
  bool shows(const std::string& text) {
    return reads_until([&] { return screen_.text().find(text) != std::string::npos; });
  }

  // To the end of the script, whose exit code it is; -1 by a signal.
  int wait() {
    reads_until([] { return false; });
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  const Screen& screen() const { return screen_; }
  // What the script runs at this moment.
  pid_t child() const {
    const std::string pid = std::to_string(pid_);
    return std::atoi(contents("/proc/" + pid + "/task/" + pid + "/children").c_str());
  }

 private:
  template <class Condition>
  bool reads_until(Condition holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
      pollfd polled{terminal_, POLLIN, 0};
      if (std::chrono::steady_clock::now() > end) return false;
      if (::poll(&polled, 1, 100) <= 0) continue;
      char bytes[4096];
      const ssize_t size = ::read(terminal_, bytes, sizeof(bytes));
      if (size <= 0) return holds();
      screen_.write({bytes, static_cast<size_t>(size)});
    }
    return true;
  }

  Screen screen_;
  int terminal_ = -1;
  pid_t pid_ = -1;
};

}  // namespace troupe::tests

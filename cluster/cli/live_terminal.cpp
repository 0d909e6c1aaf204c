#include "cluster/cli/live_terminal.h"

#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

#include "schemas/check.h"

namespace troupe::cluster {
namespace {

// The other screen, empty, from its first row on.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[2J\x1b[H";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";

constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP};
// What ends a program that is wrong, or whose user has no patience.
constexpr int kFatal[] = {SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

// Of the one LiveTerminal; the handlers have nothing else. They call only what a handler may.
std::atomic<bool> is_taken{false};
std::atomic<bool> has_keys{false};
std::atomic<bool> is_asked{false};
std::atomic<bool> came_back{false};
static_assert(std::atomic<bool>::is_always_lock_free, "the handlers may not take a lock");
termios cooked{};
termios with_keys{};

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written <= 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

void take() {
  if (has_keys) ::tcsetattr(STDIN_FILENO, TCSANOW, &with_keys);
  write_all(kEnter);
  is_taken = true;
}

void give_back() {
  if (!is_taken.exchange(false)) return;
  write_all(kLeave);
  if (has_keys) ::tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

void listen(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

// What the signal does to a program that does not listen.
void suffer(int signal) {
  listen(signal, SIG_DFL);
  sigset_t only{};
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::raise(signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

void on_fatal(int signal) {
  give_back();
  suffer(signal);
}

void on_ending(int signal) {
  if (is_asked.exchange(true)) on_fatal(signal);
}

void on_stop(int signal) {
  const int error = errno;
  give_back();
  suffer(signal);
  // Somebody lets us go on.
  listen(SIGTSTP, on_stop);
  take();
  came_back = true;
  errno = error;
}

}  // namespace

LiveTerminal::LiveTerminal() {
  TROUPE_CHECK(!is_taken);
  has_input_ = ::isatty(STDIN_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &cooked) == 0;
  has_keys = has_input_;
  with_keys = cooked;
  // Ctrl-C and Ctrl-Z stay signals.
  with_keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
  with_keys.c_iflag &= ~static_cast<tcflag_t>(IXON);
  with_keys.c_cc[VMIN] = 1;
  with_keys.c_cc[VTIME] = 0;
  is_asked = false;
  came_back = false;
  for (const int signal : kEnding) listen(signal, on_ending);
  for (const int signal : kFatal) listen(signal, on_fatal);
  listen(SIGTSTP, on_stop);
  take();
}

LiveTerminal::~LiveTerminal() {
  give_back();
  for (const int signal : kEnding) listen(signal, SIG_DFL);
  for (const int signal : kFatal) listen(signal, SIG_DFL);
  listen(SIGTSTP, SIG_DFL);
}

std::string LiveTerminal::typed(std::chrono::milliseconds patience) {
  pollfd polled{has_input_ ? STDIN_FILENO : -1, POLLIN, 0};
  if (::poll(&polled, 1, static_cast<int>(patience.count())) <= 0) return {};
  char bytes[256];
  const ssize_t size = ::read(STDIN_FILENO, bytes, sizeof(bytes));
  if (size > 0) return {bytes, static_cast<size_t>(size)};
  if (size == 0 || errno != EINTR) is_gone_ = true;
  return {};
}

bool LiveTerminal::is_asked_to_leave() const { return is_gone_ || is_asked; }

bool LiveTerminal::has_come_back() { return came_back.exchange(false); }

}  // namespace troupe::cluster

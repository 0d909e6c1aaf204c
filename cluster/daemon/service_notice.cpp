#include "cluster/daemon/service_notice.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace troupe::cluster {
namespace {

// A variable that is read once.
std::string taken(const char* name) {
  const char* const value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

std::optional<uint64_t> number_in(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// One line: a line break would begin a variable of its own.
std::string status_line(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return "STATUS=" + line;
}

}  // namespace

ServiceNotice ServiceNotice::from_environment() {
  ServiceNotice notice;
  std::string path = taken("NOTIFY_SOCKET");
  const auto period_us = number_in(taken("WATCHDOG_USEC"));
  const auto watched = number_in(taken("WATCHDOG_PID"));
  // A name of the abstract kind, or a path; nothing else is known here.
  if (path.size() < 2 || (path[0] != '/' && path[0] != '@')) return notice;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return notice;
  if (path[0] == '@') path[0] = '\0';
  notice.address_ = std::move(path);
  notice.socket_ = Descriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (period_us && *period_us > 0 && (!watched || *watched == static_cast<uint64_t>(::getpid()))) {
    notice.alive_every_ = std::chrono::microseconds(*period_us / 2);
  }
  return notice;
}

void ServiceNotice::ready() const { send("READY=1"); }
void ServiceNotice::status(std::string_view text) const { send(status_line(text)); }
void ServiceNotice::stopping() const { send("STOPPING=1\nSTATUS=stopping"); }
void ServiceNotice::alive() const { send("WATCHDOG=1"); }

void ServiceNotice::send(std::string_view text) const {
  if (!socket_) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  // The name of an abstract socket has no end of its own, and a path may have none.
  const auto length = offsetof(sockaddr_un, sun_path) + address_.size();
  // A manager that does not read must not make the daemon wait.
  ::sendto(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
           reinterpret_cast<const sockaddr*>(&to), static_cast<socklen_t>(length));
}

}  // namespace troupe::cluster

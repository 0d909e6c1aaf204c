#include "cluster/daemon/lifeline.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace troupe::cluster {

std::optional<int> lifeline_from_environment() {
  const char* const text = std::getenv(kLifelineVariable);
  if (text == nullptr) return std::nullopt;
  int fd = -1;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, fd);
  if (error != std::errc() || rest != end || fd < 0) return std::nullopt;
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return std::nullopt;
  return fd;
}

void watch_lifeline(int fd) {
  std::thread([fd] {
    char unused = 0;
    while (true) {
      const ssize_t count = ::read(fd, &unused, 1);
      if (count > 0 || (count < 0 && errno == EINTR)) continue;
      // Nobody is left to hand anything to, and destructors could wait for the network.
      ::_exit(1);
    }
  }).detach();
}

}  // namespace troupe::cluster

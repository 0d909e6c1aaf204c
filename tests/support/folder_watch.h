// Says when a name appears in a folder, at once: how a test hits a writer while it writes.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <chrono>
#include <string>

namespace troupe::tests {

class FolderWatch {
 public:
  // The folder must exist. `events` are IN_CREATE, IN_MOVED_TO, ...
  FolderWatch(const std::string& folder, uint32_t events)
      : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    REQUIRE(inotify_ >= 0);
    REQUIRE(::inotify_add_watch(inotify_, folder.c_str(), events) >= 0);
  }
  ~FolderWatch() { ::close(inotify_); }
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // False when `patience` is over without any event.
  bool sees_one(std::chrono::milliseconds patience) const {
    pollfd polled{inotify_, POLLIN, 0};
    if (::poll(&polled, 1, static_cast<int>(patience.count())) <= 0) return false;
    char events[4096];
    return ::read(inotify_, events, sizeof(events)) > 0;
  }

 private:
  int inotify_;
};

}  // namespace troupe::tests

// What other threads leave for the one that owns a socket. Whoever leaves something may outlive it,
// so it is shared.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "schemas/check.h"
#include "schemas/descriptor.h"

namespace troupe::cluster {

template <class Item>
class LinkMailbox {
 public:
  LinkMailbox() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    TROUPE_CHECK(wake_.get() >= 0);
  }

  // Nothing is kept once it is closed.
  void put(Item item) {
    {
      const std::lock_guard lock(mutex_);
      if (is_closed_) return;
      items_.push_back(std::move(item));
    }
    wake();
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
      items_.clear();
    }
    wake();
  }

  // What is there now. False when closed.
  bool take(std::vector<Item>& items) {
    uint64_t ignored = 0;
    // Before the list is taken: what comes later wakes again.
    while (::read(wake_.get(), &ignored, sizeof(ignored)) < 0 && errno == EINTR) {
    }
    const std::lock_guard lock(mutex_);
    items = std::exchange(items_, {});
    return !is_closed_;
  }

  int descriptor() const { return wake_.get(); }

 private:
  void wake() const {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the reader is awake.
    while (::write(wake_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }

  const Descriptor wake_;
  std::mutex mutex_{};
  std::vector<Item> items_{};  // Guarded by mutex_.
  bool is_closed_ = false;     // Guarded by mutex_.
};

}  // namespace troupe::cluster

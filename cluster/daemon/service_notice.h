// What a daemon tells the service manager that has started it (systemd's sd_notify): a datagram to
// the socket that NOTIFY_SOCKET names. Without one nothing is told to anybody.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/descriptor.h"

namespace troupe::cluster {

class ServiceNotice {
 public:
  using Clock = std::chrono::steady_clock;

  // Tells nobody.
  ServiceNotice() = default;
  // Takes the manager's variables out of the environment: what this process starts is no service.
  // To be called before there are other threads.
  static ServiceNotice from_environment();

  bool is_there() const { return static_cast<bool>(socket_); }

  // May be called from any thread; what cannot be sent is lost. A status is for people.
  void ready() const;
  void status(std::string_view text) const;
  void stopping() const;

  // A sign of life, which the caller is to give only when the daemon does its work. Half of the
  // time after which the manager ends it; nothing when it does not watch.
  std::optional<Clock::duration> alive_every() const { return alive_every_; }
  void alive() const;

 private:
  void send(std::string_view text) const;

  Descriptor socket_{};
  std::string address_{};  // Of the manager's socket, as the kernel wants it; may begin with 0.
  std::optional<Clock::duration> alive_every_{};
};

}  // namespace troupe::cluster

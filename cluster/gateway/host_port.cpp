#include "cluster/gateway/host_port.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>

#include "cluster/monitor/text.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kHostBytesMax = 253;  // Of a name in the domain name system.
constexpr int kBacklog = 128;
// How often it is looked which connections of a full listener have ended.
constexpr std::chrono::milliseconds kLookAgain{50};

struct FreeAddresses {
  void operator()(addrinfo* first) const { ::freeaddrinfo(first); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> look_up(const HostPort& address, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* first = nullptr;
  const int failed =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &first);
  if (failed == 0) return Addresses(first);
  const char* reason = failed == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(failed);
  return invalid_argument(
      fmt::format("the host {} cannot be found: {}", printable(address.host), reason));
}

Result<HostPort> numeric(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(address, size, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return Error{ErrorCode::kInternal, "an address of this host cannot be written down"};
  }
  return HostPort{host.data(), static_cast<uint16_t>(std::stoi(port.data()))};
}

// The port at our end of a connection; -1 for what is none.
int local_port(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return -1;
  if (address.ss_family == AF_INET) return reinterpret_cast<sockaddr_in*>(&address)->sin_port;
  if (address.ss_family == AF_INET6) return reinterpret_cast<sockaddr_in6*>(&address)->sin6_port;
  return -1;
}

// The connections of listeners that may have a certain number of them. libzmq does not tell when it
// closes one, so those that are counted are looked at when there seem to be too many. One for the
// whole process, since accept4 is.
class BoundedListeners {
 public:
  void add(int listener, size_t connections_max) {
    const std::lock_guard lock(mutex_);
    bounds_[listener] = {.connections_max = connections_max, .port = local_port(listener)};
  }
  void remove(int listener) {
    const std::lock_guard lock(mutex_);
    bounds_.erase(listener);
  }

  // False where it is one too many.
  bool takes(int listener, int connection) {
    const std::lock_guard lock(mutex_);
    const auto found = bounds_.find(listener);
    if (found == bounds_.end()) return true;
    Bound& bound = found->second;
    const auto now = Clock::now();
    if (bound.connections.size() >= bound.connections_max && now - bound.looked_at >= kLookAgain) {
      bound.looked_at = now;
      // Another file may have the number by now.
      std::erase_if(bound.connections, [&](int one) { return local_port(one) != bound.port; });
    }
    if (bound.connections.size() >= bound.connections_max) return false;
    bound.connections.insert(connection);
    return true;
  }

 private:
  struct Bound {
    size_t connections_max = 0;
    int port = -1;
    std::set<int> connections{};
    Clock::time_point looked_at{};
  };

  std::mutex mutex_{};
  std::map<int, Bound> bounds_{};  // By descriptor.
};

BoundedListeners& bounded_listeners() {
  static BoundedListeners all;
  return all;
}

}  // namespace

Result<HostPort> parse_host_port(const std::string& text) {
  const auto fault = [&] {
    return invalid_argument(
        fmt::format("\"{}\" is no address: host:port, or [IPv6 address]:port",
                    printable(std::string_view(text).substr(0, kHostBytesMax))));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return fault();
  HostPort address{.host = text.substr(0, colon)};
  const char* end = text.data() + text.size();
  const auto [read_to, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (error != std::errc{} || read_to != end) return fault();
  const bool is_bracketed =
      address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']';
  if (is_bracketed) address.host = address.host.substr(1, address.host.size() - 2);
  const bool is_made_of_letters =
      std::all_of(address.host.begin(), address.host.end(), [&](unsigned char c) {
        return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' ||
               (is_bracketed && (c == ':' || c == '%'));
      });
  if (!is_made_of_letters || address.host.size() > kHostBytesMax) return fault();
  return address;
}

std::string text_of(const HostPort& address) {
  const bool is_bracketed = address.host.find(':') != std::string::npos;
  return is_bracketed ? fmt::format("[{}]:{}", address.host, address.port)
                      : fmt::format("{}:{}", address.host, address.port);
}

Result<Listening> listen_at(const HostPort& address) {
  const auto found = look_up(address, AI_PASSIVE);
  if (!found) return found.error();
  const addrinfo& one = **found;
  Listening listening{
      .socket = Descriptor(::socket(one.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))};
  const auto failed = [&] {
    return is_exhaustion(errno)
               ? system_error("cannot listen at " + text_of(address), errno)
               : invalid_argument(fmt::format("cannot listen at {}: {}", text_of(address),
                                              std::strerror(errno)));
  };
  if (!listening.socket) return failed();
  // A daemon that follows another one at once finds the port with connections that are ending.
  const int yes = 1;
  ::setsockopt(listening.socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(listening.socket.get(), one.ai_addr, one.ai_addrlen) != 0 ||
      ::listen(listening.socket.get(), kBacklog) != 0) {
    return failed();
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(listening.socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return failed();
  }
  auto chosen = numeric(reinterpret_cast<const sockaddr*>(&bound), size);
  if (!chosen) return chosen.error();
  listening.address = std::move(*chosen);
  return listening;
}

Result<HostPort> find_listener(const HostPort& address, std::chrono::milliseconds patience) {
  const auto found = look_up(address, 0);
  if (!found) return found.error();
  const auto deadline = Clock::now() + patience;
  std::string reason;
  // Each of its addresses in turn: a name often has one of IPv6 that leads nowhere.
  for (const addrinfo* one = found->get(); one != nullptr; one = one->ai_next) {
    const Descriptor socket(
        ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    int error = socket ? 0 : errno;
    if (socket && ::connect(socket.get(), one->ai_addr, one->ai_addrlen) != 0) {
      error = errno;
      pollfd ready{socket.get(), POLLOUT, 0};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (error == EINPROGRESS) {
        const int polled = ::poll(&ready, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
        socklen_t size = sizeof(error);
        if (polled <= 0) {
          error = ETIMEDOUT;
        } else if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
          error = errno;
        }
      }
    }
    if (error == 0) return numeric(one->ai_addr, one->ai_addrlen);
    reason = std::strerror(error);
  }
  return Error{ErrorCode::kInternal,
               fmt::format("no answer from {}: {}; does trouped run there with --listen, and may "
                           "this host reach that port?",
                           text_of(address), reason)};
}

void bound_connections(int listener, size_t connections_max) {
  bounded_listeners().add(listener, connections_max);
}

void forget_listener(int listener) { bounded_listeners().remove(listener); }

}  // namespace troupe::cluster

// The system's own call, for libzmq, which ends the process when no descriptor is left for a
// connection and knows no other bound. In this program such a connection waits, and is taken when
// others have gone; one that is too many for a bounded listener is closed.
extern "C" int accept4(int socket, sockaddr* address, socklen_t* size, int flags) {
  const auto accepted = static_cast<int>(::syscall(SYS_accept4, socket, address, size, flags));
  if (accepted < 0) {
    if (errno == EMFILE || errno == ENFILE) errno = EAGAIN;
    return accepted;
  }
  if (troupe::cluster::bounded_listeners().takes(socket, accepted)) return accepted;
  ::close(accepted);
  errno = EAGAIN;
  return -1;
}

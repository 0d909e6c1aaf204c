// A network between two ends of TCP on this machine: slow, or cut, or with connections that break.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <thread>
#include <vector>

#include "schemas/check.h"
#include "schemas/descriptor.h"

namespace troupe::tests {

class TcpForwarder {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    uint16_t to_port = 0;
    std::chrono::milliseconds delay{0};  // Of what goes either way.
    double bytes_per_second = 0;         // Of each connection, either way; 0: as fast as it goes.
  };

  explicit TcpForwarder(Options options) : options_(options) {
    listener_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = loopback(0);
    TROUPE_CHECK(::bind(listener_.get(), as_address(&address), sizeof(address)) == 0);
    TROUPE_CHECK(::listen(listener_.get(), 64) == 0);
    socklen_t size = sizeof(address);
    TROUPE_CHECK(::getsockname(listener_.get(), as_address(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TcpForwarder() {
    is_ending_ = true;
    thread_.join();
  }

  uint16_t port() const { return port_; }
  // Nothing goes either way, and nobody is told.
  void cut() { is_cut_ = true; }
  void mend() { is_cut_ = false; }
  // All connections that there are end, with what is on its way.
  void break_connections() { breaks_ = true; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Piece {
    Clock::time_point due{};
    std::vector<char> bytes{};
    size_t done = 0;
  };
  struct Way {
    int from = -1;
    int to = -1;
    std::deque<Piece> pieces{};
    Clock::time_point free{};  // When the line has sent what it was given.
    bool has_ended = false;
  };
  struct Pair {
    Descriptor near{};
    Descriptor far{};
    Way ways[2];
  };

  static sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static sockaddr* as_address(sockaddr_in* address) { return reinterpret_cast<sockaddr*>(address); }

  void run() {
    while (!is_ending_) {
      pollfd polled{listener_.get(), POLLIN, 0};
      ::poll(&polled, 1, 1);
      if (breaks_.exchange(false)) pairs_.clear();
      if (is_cut_) continue;
      accept_all();
      for (Pair& pair : pairs_) {
        for (Way& way : pair.ways) move(way);
      }
      pairs_.remove_if([](const Pair& pair) {
        return (pair.ways[0].has_ended && pair.ways[0].pieces.empty()) ||
               (pair.ways[1].has_ended && pair.ways[1].pieces.empty());
      });
    }
  }

  void accept_all() {
    while (true) {
      Descriptor near(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (near.get() < 0) return;
      Descriptor far(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address = loopback(options_.to_port);
      if (::connect(far.get(), as_address(&address), sizeof(address)) != 0) continue;
      ::fcntl(far.get(), F_SETFL, O_NONBLOCK);
      const int one = 1;
      ::setsockopt(far.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
      ::setsockopt(near.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
      Pair& pair = pairs_.emplace_back();
      pair.ways[0] = {.from = near.get(), .to = far.get()};
      pair.ways[1] = {.from = far.get(), .to = near.get()};
      pair.near = std::move(near);
      pair.far = std::move(far);
    }
  }

  void move(Way& way) {
    constexpr size_t kAtOnce = 64 << 10;
    constexpr auto kAhead = std::chrono::milliseconds(20);
    const auto now = Clock::now();
    // A line that is full takes no more.
    while (!way.has_ended && (options_.bytes_per_second <= 0 || way.free < now + kAhead)) {
      std::vector<char> bytes(kAtOnce);
      const ssize_t n = ::recv(way.from, bytes.data(), bytes.size(), 0);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
      if (n <= 0) {
        way.has_ended = true;
        break;
      }
      bytes.resize(static_cast<size_t>(n));
      bytes_ += bytes.size();
      auto sent = now;
      if (options_.bytes_per_second > 0) {
        way.free = std::max(way.free, now) +
                   std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                       static_cast<double>(n) / options_.bytes_per_second));
        sent = way.free;
      }
      way.pieces.push_back({sent + options_.delay, std::move(bytes)});
    }
    while (!way.pieces.empty() && way.pieces.front().due <= now) {
      Piece& piece = way.pieces.front();
      const ssize_t n = ::send(way.to, piece.bytes.data() + piece.done,
                               piece.bytes.size() - piece.done, MSG_NOSIGNAL);
      if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) way.has_ended = true, way.pieces.clear();
        return;
      }
      piece.done += static_cast<size_t>(n);
      if (piece.done < piece.bytes.size()) return;
      way.pieces.pop_front();
    }
  }

  const Options options_;
  Descriptor listener_{};
  uint16_t port_ = 0;
  std::list<Pair> pairs_{};
  std::atomic<bool> is_cut_{false}, breaks_{false}, is_ending_{false};
  std::atomic<uint64_t> bytes_{0};
  std::thread thread_{};
};

}  // namespace troupe::tests

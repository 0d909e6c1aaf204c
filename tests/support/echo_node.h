// A node that answers over TLS on this host, and strangers who knock at its port.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <caf/all.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/transport.h"
#include "cluster/daemon/credentials.h"
#include "tests/support/temp_dir.h"

namespace troupe::tests {

using actors::connect_root;
using actors::NodeConfig;
using actors::publish_root;
using actors::WireBytes;

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kTimeout(10);

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Counts what it answers, because a spawned function needs an argument (transport.h).
inline caf::behavior echo(caf::event_based_actor*,
                          const std::shared_ptr<std::atomic<int>>& num_answers) {
  return {[num_answers](const WireBytes& x) {
    ++*num_answers;
    return x;
  }};
}

inline WireBytes numbered(uint32_t number, size_t size) {
  WireBytes x{std::vector<char>(size)};
  for (size_t i = 0; i < size; ++i) {
    x.bytes[i] = static_cast<char>((i * 2654435761u + number * 40503u) >> 13);
  }
  return x;
}

// A published echo and whatever it needs.
class Server {
 public:
  explicit Server(const std::string& credentials)
      : config_(credentials), system_(config_), root_(system_.spawn(echo, num_answers_)) {
    const auto port = publish_root(root_, 0);
    REQUIRE(port);
    port_ = *port;
  }
  ~Server() { caf::anon_send_exit(root_, caf::exit_reason::user_shutdown); }

  uint16_t port() const { return port_; }
  int num_answers() const { return *num_answers_; }

 private:
  const std::shared_ptr<std::atomic<int>> num_answers_ = std::make_shared<std::atomic<int>>(0);
  NodeConfig config_;
  caf::actor_system system_;
  caf::actor root_;
  uint16_t port_ = 0;
};

// As callers do it: a heartbeat may fall into a handshake.
inline Result<caf::actor> connect_patiently(caf::actor_system& system, uint16_t port) {
  constexpr int kTriesMax = 5;
  for (int i = 1;; ++i) {
    auto root = connect_root(system, port);
    if (root || i == kTriesMax) return root;
  }
}

// True when the echo answers rightly through `system`.
inline bool answers(caf::actor_system& system, const caf::actor& root, const WireBytes& message) {
  caf::scoped_actor self{system};
  bool is_equal = false;
  self->request(root, kTimeout, message)
      .receive([&](const WireBytes& answer) { is_equal = answer.bytes == message.bytes; },
               [](const caf::error&) {});
  return is_equal;
}

// Open for as long as it lives.
class PlainConnection {
 public:
  explicit PlainConnection(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~PlainConnection() { ::close(socket_); }
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;

  void send(const std::vector<char>& bytes) const {
    // It may have been cut off already.
    (void)::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

 private:
  int socket_;
};

class TwoRuns {
 public:
  TwoRuns() {
    REQUIRE(cluster::make_credentials(ours));
    REQUIRE(cluster::make_credentials(theirs));
  }

 private:
  TempDir dir_{};

 public:
  const std::string ours = dir_.file("ours");
  const std::string theirs = dir_.file("theirs");
};

// Bytes of a stranger; half of them look like the start of a TLS record, so that more of the parser
// is reached.
inline std::vector<char> garbage(uint32_t number) {
  auto bytes = numbered(number, 6 + number * 400).bytes;
  if (number % 2 == 0) bytes[0] = 0x16, bytes[1] = 0x03, bytes[2] = 0x01, bytes[3] = 0x10;
  return bytes;
}

}  // namespace troupe::tests

// Real actor systems over 127.0.0.1, each a node of its own, in one process.
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

namespace troupe::actors {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kTimeout(10);

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Counts what it answers, because a spawned function needs an argument (transport.h).
caf::behavior echo(caf::event_based_actor*, const std::shared_ptr<std::atomic<int>>& num_answers) {
  return {[num_answers](const WireBytes& x) {
    ++*num_answers;
    return x;
  }};
}

WireBytes numbered(uint32_t number, size_t size) {
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
Result<caf::actor> connect_patiently(caf::actor_system& system, uint16_t port) {
  constexpr int kTriesMax = 5;
  for (int i = 1;; ++i) {
    auto root = connect_root(system, port);
    if (root || i == kTriesMax) return root;
  }
}

// True when the echo answers rightly through `system`.
bool answers(caf::actor_system& system, const caf::actor& root, const WireBytes& message) {
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
  tests::TempDir dir_{};

 public:
  const std::string ours = dir_.file("ours");
  const std::string theirs = dir_.file("theirs");
};

TEST_CASE("transport: small and large messages come through whole, both ways, under TLS") {
  const TwoRuns runs;
  const Server server(runs.ours);
  NodeConfig config(runs.ours);
  caf::actor_system system(config);
  const auto root = connect_patiently(system, server.port());
  REQUIRE_MESSAGE(root, (root ? "" : root.error().message));

  constexpr uint32_t kSmall = 1000;
  auto start = Clock::now();
  {
    caf::scoped_actor self{system};
    for (uint32_t i = 0; i < kSmall; ++i) self->send(*root, numbered(i, 200 + i));
    uint32_t num_right = 0;
    for (uint32_t i = 0; i < kSmall; ++i) {
      self->receive([&](const WireBytes& x) { num_right += x.bytes == numbered(i, 200 + i).bytes; },
                    caf::after(kTimeout) >> [] {});
    }
    CHECK(num_right == kSmall);
  }
  MESSAGE("small messages there and back, in flight together: " << kSmall / seconds_since(start)
                                                                << "/s");

  start = Clock::now();
  for (uint32_t i = 0; i < 100; ++i) REQUIRE(answers(system, *root, numbered(i, 64)));
  MESSAGE("one after another, 64 bytes: " << seconds_since(start) * 1e4 << " us each");

  constexpr size_t kLarge = 16 << 20;
  std::vector<WireBytes> large;
  for (uint32_t i = 0; i < 8; ++i) large.push_back(numbered(i, kLarge));
  start = Clock::now();
  for (const WireBytes& message : large) CHECK(answers(system, *root, message));
  MESSAGE("16 MB there and back, one after another: " << seconds_since(start) / 8 * 1e3
                                                      << " ms each");
}

TEST_CASE("transport: who has no credentials of this run is refused") {
  const TwoRuns runs;
  const Server server(runs.ours);
  SUBCASE("credentials of another run") {
    NodeConfig config(runs.theirs);
    caf::actor_system system(config);
    const auto refused = connect_root(system, server.port());
    REQUIRE_FALSE(refused);
    MESSAGE(refused.error().message);
  }
  SUBCASE("TLS without a certificate") {
    caf::actor_system_config config;
    config.add_message_type<WireBytes>("wire_bytes");
    config.load<caf::io::middleman>();
    config.load<caf::openssl::manager>();
    caf::actor_system system(config);
    CHECK_FALSE(connect_root(system, server.port()));
  }
  SUBCASE("no TLS") {
    caf::actor_system_config config;
    config.add_message_type<WireBytes>("wire_bytes");
    config.load<caf::io::middleman>();
    caf::actor_system system(config);
    CHECK_FALSE(system.middleman().remote_actor("127.0.0.1", server.port()));
  }
  SUBCASE("a server that is not ours") {
    const Server stranger(runs.theirs);
    NodeConfig config(runs.ours);
    caf::actor_system system(config);
    CHECK_FALSE(connect_root(system, stranger.port()));
  }
  // And the refusal harms nobody.
  CHECK(server.num_answers() == 0);
  NodeConfig config(runs.ours);
  caf::actor_system system(config);
  const auto root = connect_patiently(system, server.port());
  REQUIRE_MESSAGE(root, (root ? "" : root.error().message));
  CHECK(answers(system, *root, numbered(1, 100)));
}

// Bytes of a stranger; half of them look like the start of a TLS record, so that more of the parser
// is reached.
std::vector<char> garbage(uint32_t number) {
  auto bytes = numbered(number, 6 + number * 400).bytes;
  if (number % 2 == 0) bytes[0] = 0x16, bytes[1] = 0x03, bytes[2] = 0x01, bytes[3] = 0x10;
  return bytes;
}

TEST_CASE("transport: garbage and silence on the port do not keep a good node out") {
  const TwoRuns runs;
  const Server server(runs.ours);
  const PlainConnection silent(server.port());
  std::vector<std::unique_ptr<PlainConnection>> noisy;
  for (uint32_t i = 0; i < 50; ++i) {
    noisy.push_back(std::make_unique<PlainConnection>(server.port()));
    noisy.back()->send(garbage(i));
    if (i % 3 == 0) noisy.back().reset();
  }
  NodeConfig config(runs.ours);
  caf::actor_system system(config);
  const auto root = connect_patiently(system, server.port());
  REQUIRE_MESSAGE(root, (root ? "" : root.error().message));
  for (uint32_t i = 0; i < 20; ++i) CHECK(answers(system, *root, numbered(i, 1000)));
}

TEST_CASE("transport: garbage on the port does not break connections that are in use") {
  const TwoRuns runs;
  const Server server(runs.ours);
  NodeConfig config(runs.ours);
  caf::actor_system system(config);
  const auto root = connect_patiently(system, server.port());
  REQUIRE_MESSAGE(root, (root ? "" : root.error().message));
  uint32_t num_answers = 0;
  for (uint32_t i = 0; i < 200; ++i) {
    const PlainConnection noisy(server.port());
    noisy.send(garbage(i % 20));
    if (!answers(system, *root, numbered(i, 1000))) break;
    ++num_answers;
  }
  CHECK(num_answers == 200);
}

TEST_CASE("transport: nobody on the port is said") {
  const TwoRuns runs;
  NodeConfig config(runs.ours);
  caf::actor_system system(config);
  const auto nobody = connect_root(system, 1);
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().message.find("127.0.0.1:1") != std::string::npos);
}

}  // namespace
}  // namespace troupe::actors

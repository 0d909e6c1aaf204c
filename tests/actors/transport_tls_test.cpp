// Real actor systems over 127.0.0.1, each a node of its own, in one process.
#include "tests/support/echo_node.h"

namespace troupe::tests {
namespace {

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
}  // namespace troupe::tests

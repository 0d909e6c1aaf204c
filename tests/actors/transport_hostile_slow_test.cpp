// Strangers at the port that workers use: they never get beyond the handshake.
#include <sys/resource.h>

#include <fstream>
#include <random>

#include "tests/support/echo_node.h"

namespace troupe::tests {
namespace {

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST_CASE("transport: 100,000 hostile frames do no harm, and a good node is served all the while") {
  const TwoRuns runs;
  const Server server(runs.ours);
  NodeConfig config(runs.ours);
  caf::actor_system system(config);
  const auto root = connect_patiently(system, server.port());
  REQUIRE_MESSAGE(root, (root ? "" : root.error().message));
  std::mt19937_64 random(1);
  constexpr int kConnections = 2'500, kFrames = 40;
  int asked = 0, served = 0;
  int64_t before = 0;
  for (int connection = 0; connection < kConnections; ++connection) {
    {
      const PlainConnection stranger(server.port());
      for (int frame = 0; frame < kFrames; ++frame) {
        std::vector<char> bytes = garbage(static_cast<uint32_t>(random() % 20));
        for (uint64_t flips = random() % 8; flips > 0; --flips) {
          bytes[random() % bytes.size()] = static_cast<char>(random());
        }
        stranger.send(bytes);
      }
    }
    if (connection % 50 != 0) continue;
    ++asked;
    served += answers(system, *root, numbered(static_cast<uint32_t>(connection), 1000)) ? 1 : 0;
    // What the libraries keep for themselves is there by now.
    if (connection == 500) before = resident_bytes();
  }
  CHECK(served == asked);
  CHECK(server.num_answers() == asked);  // Nobody else was ever heard.
  const int64_t grown = resident_bytes() - before;
  MESSAGE("resident memory grew by " << grown / 1024 << " KiB over the last 2,000 connections");
#if !defined(__SANITIZE_ADDRESS__)
  CHECK(grown < 16 << 20);
#endif
}

}  // namespace
}  // namespace troupe::tests

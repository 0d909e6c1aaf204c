// The door of a head and the dialer of a node, over real sockets, with a bad network in between.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/cluster/nodes/link_parts.h"
#include "tests/support/tcp_forwarder.h"
#include "tests/support/tree_kill.h"

using namespace troupe;
using namespace troupe::cluster;
using namespace troupe::tests;
using namespace std::chrono_literals;

namespace {

std::vector<uint64_t> numbers(uint64_t count) {
  std::vector<uint64_t> all;
  for (uint64_t i = 1; i <= count; ++i) all.push_back(i);
  return all;
}

// Whatever may come in that time, comes.
void pass(std::chrono::milliseconds time) {
  (void)comes_true([] { return false; }, time);
}

double seconds_until(const std::function<bool()>& is_so, std::chrono::milliseconds patience) {
  const auto begin = std::chrono::steady_clock::now();
  CHECK(comes_true(is_so, patience));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

TEST_CASE("node_link: what is said arrives once and in order, though connections break") {
  const LinkKeys keys;
  TestHead head(keys);
  TcpForwarder network({.to_port = head.door().address().port});
  TestNode node(keys.key("b"), network.port());
  REQUIRE(comes_true([&] { return node.joined == 1; }, 20s));
  constexpr uint64_t kMessages = 3'000;
  for (uint64_t i = 1; i <= kMessages; ++i) {
    head.door().say("b", KillProcess{i});
    node.dialer().say(WorkerSays{.peer = i, .envelope = std::vector<std::byte>(i % 7'000)});
    if (i % 500 == 250) network.break_connections();
    if (i % 100 == 0) pass(20ms);
  }
  CHECK(comes_true([&] { return head.heard().size() == kMessages; }, 30s));
  CHECK(comes_true([&] { return node.heard().size() == kMessages; }, 30s));
  CHECK(head.heard() == numbers(kMessages));
  CHECK(node.heard() == numbers(kMessages));
  CHECK(head.joined == 1);
  CHECK(node.joined == 1);
  CHECK(node.back > 0);
}

TEST_CASE("node_link: connections may break at any moment of a stream of small messages") {
  const LinkKeys keys;
  TestHead head(keys);
  TcpForwarder network({.to_port = head.door().address().port});
  TestNode node(keys.key("b"), network.port());
  REQUIRE(comes_true([&] { return node.joined == 1; }, 20s));
  constexpr int kBreaks = 40;
  constexpr uint64_t kMessagesOfBreak = 1'000;
  uint64_t said = 0;
  for (int i = 0; i < kBreaks; ++i) {
    for (uint64_t k = 0; k < kMessagesOfBreak; ++k) head.door().say("b", KillProcess{++said});
    pass(std::chrono::milliseconds(i % 7));
    network.break_connections();
    REQUIRE(comes_true([&] { return node.heard().size() == said; }, 20s));
  }
  CHECK(node.heard() == numbers(said));
  CHECK(node.joined == 1);
}

TEST_CASE("node_link: a cut is noticed and mended within seconds, and loses nothing") {
  const LinkKeys keys;
  TestHead head(keys);
  TcpForwarder network({.to_port = head.door().address().port});
  TestNode node(keys.key("b"), network.port());
  REQUIRE(comes_true([&] { return node.joined == 1; }, 20s));
  network.cut();
  CHECK(seconds_until([&] { return head.away == 1 && node.silent == 1; }, 20s) < 4);
  head.door().say("b", KillProcess{1});
  node.dialer().say(WorkerSays{.peer = 1, .envelope = {}});
  pass(4s);
  network.mend();
  CHECK(seconds_until([&] { return head.back == 1 && node.back == 1; }, 20s) < 4);
  CHECK(comes_true([&] { return node.heard() == numbers(1) && head.heard() == numbers(1); }, 5s));
  CHECK(head.gone == 0);
  CHECK(node.joined == 1);
}

TEST_CASE("node_link: over a slow line what is big does not make a node seem away") {
  const LinkKeys keys;
  TestHead head(keys);
  TcpForwarder network(
      {.to_port = head.door().address().port, .delay = 50ms, .bytes_per_second = 12.5e6});
  TestNode node(keys.key("b"), network.port());
  REQUIRE(comes_true([&] { return node.joined == 1; }, 20s));
  constexpr size_t kBytes = 40 << 20;
  node.dialer().say(WorkerSays{.peer = 1, .envelope = std::vector<std::byte>(kBytes)});
  CHECK(comes_true([&] { return head.bytes() == kBytes; }, 60s));
  CHECK(head.away == 0);
  CHECK(node.silent == 0);
  // Each byte once, and a little around it.
  CHECK(network.bytes() < kBytes * 1.05);
}

TEST_CASE("node_link: another head begins another session") {
  const LinkKeys keys;
  auto first = std::make_unique<TestHead>(keys, 1);
  const uint16_t port = first->door().address().port;
  TcpForwarder network({.to_port = port});
  TestNode node(keys.key("b"), network.port());
  REQUIRE(comes_true([&] { return node.joined == 1; }, 20s));
  first.reset();
  auto ring = KeyRing::open({.folder = keys.folder()});
  std::atomic<int> joined{0};
  auto second =
      NodeDoor::open({.address = {"127.0.0.1", port},
                      .ring = *ring,
                      .roster = {.build = "b1", .arithmetic_id = "cpu-1", .first_session = 99}},
                     {.joined = [&](const std::string&, const NodeHello&, const std::string&,
                                    const std::string&) { ++joined; },
                      .away = [](const std::string&) {},
                      .back = [](const std::string&) {},
                      .gone = [](const std::string&, const std::string&) {},
                      .said = [](const std::string&, const FromNode&) {},
                      .asked_for_file = [](const std::string&, const FileRequest&,
                                           const std::function<void(FileReply)>&) {}});
  REQUIRE(second);
  CHECK(seconds_until([&] { return joined == 1 && node.joined == 2; }, 20s) < 4);
}

TEST_CASE("node_link: strangers are not heard") {
  LinkKeys keys;
  const KeyFile user = keys.add("u", KeyKind::kUser);
  const KeyFile revoked = keys.add("r", KeyKind::kNode);
  REQUIRE(revoke_key(keys.folder(), "r"));
  KeyFile foreign = keys.key("b");
  foreign.keys = *make_curve_keys();
  TestHead head(keys);
  {
    const TestNode of_user(user, head.door().address().port, 2);
    const TestNode of_revoked(revoked, head.door().address().port, 3);
    const TestNode of_foreign(foreign, head.door().address().port, 4);
    pass(1s);
    CHECK(of_user.joined + of_revoked.joined + of_foreign.joined == 0);
  }
  CHECK(head.joined == 0);
  // Nor is one that had joined, from the moment when its key is none any more.
  TestNode node(keys.key("b"), head.door().address().port);
  REQUIRE(comes_true([&] { return node.joined == 1; }, 20s));
  REQUIRE(revoke_key(keys.folder(), "b"));
  CHECK(comes_true([&] { return head.gone == 1; }, 20s));
  const size_t before = head.heard().size();
  node.dialer().say(WorkerSays{.peer = 1, .envelope = {}});
  pass(500ms);
  CHECK(head.heard().size() == before);
  CHECK(head.others().empty());
}

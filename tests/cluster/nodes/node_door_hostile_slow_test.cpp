// Whoever reaches the nodes' port may send anything: the head goes on hearing its nodes and stays
// as it is.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "schemas/node_codec.h"
#include "tests/cluster/nodes/link_parts.h"
#include "tests/support/hostile_bytes.h"
#include "tests/support/tree_kill.h"

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

constexpr int kRawConnections = 30'000;
constexpr int kRandomMessages = 35'000;
constexpr int kMutatedMessages = 35'000;
constexpr int kSaidEvery = 250;
constexpr size_t kGrowthMax = 16 << 20;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One of each kind, as a node may send it.
std::vector<FromNode> valid_messages() {
  const NodeHello hello{.instance = 7, .build = "b1", .arithmetic_id = "cpu-1"};
  return {hello,
          NodeProcesses{{{.job = 1, .slot = 2, .pid = 3, .token = "token"}}},
          NodeBeat{.disk_free_bytes = 1 << 20},
          ProcessStarted{.request_id = 1, .pid = 2},
          ProcessEnded{.job = 1, .slot = 0, .pid = 3, .last_words = "said"},
          WorkerSays{.peer = 4, .envelope = std::vector<std::byte>(100)},
          WorkerGone{.peer = 4},
          NodeLeaves{},
          FileRequest{.request_id = 1, .job = 2, .what = ListFolder{"/model"}},
          FileRequest{.request_id = 2, .job = 2, .what = ReadFile{"/model/w", 0, 100}},
          FileRequest{.request_id = 3, .job = 2, .what = WriteFile{.path = "/w", .is_last = true}}};
}

// A node whose key is good and who speaks as it likes.
class HostileNode {
 public:
  HostileNode(const KeyFile& key, uint16_t port) : socket_(context_, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::reconnect_ivl, 1);
    socket_.set(zmq::sockopt::sndtimeo, 60'000);
    set_curve_client(socket_, key);
    socket_.connect("tcp://127.0.0.1:" + std::to_string(port));
  }

  void send(const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      REQUIRE(zmq_send(socket_.handle(), frames[i].data(), frames[i].size(), more) >= 0);
    }
    zmq::message_t frame;
    while (zmq_msg_recv(frame.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) ++num_answers_;
  }
  size_t num_answers() const { return num_answers_; }

 private:
  zmq::context_t context_{1};
  zmq::socket_t socket_;
  size_t num_answers_ = 0;
};

TEST_CASE("node_door: hostile bytes at its port, and a node's nonsense, change nothing") {
  LinkKeys keys;
  const KeyFile mallory = keys.add("m", KeyKind::kNode);
  TestHead head(keys);
  const uint16_t port = head.door().address().port;
  TestNode good(keys.key("b"), port);
  REQUIRE(comes_true([&] { return good.joined == 1; }, 20s));
  uint64_t said = 0;
  const auto say_now_and_then = [&](int i) {
    if (i % kSaidEvery != 0) return;
    good.dialer().say(WorkerSays{.peer = ++said, .envelope = {}});
    REQUIRE(comes_true([&] { return head.heard().size() == said; }, 20s));
  };

  Bytes bytes;
  size_t before = 0;
  for (int i = 0; i < kRawConnections; ++i) {
    if (i == 1'000) before = resident_bytes();
    REQUIRE(comes_true([&] { return say_to_port(port, hostile_curve_greeting(bytes)); }, 20s));
    say_now_and_then(i);
  }

  HostileNode hostile(mallory, port);
  for (int i = 0; i < kRandomMessages; ++i) {
    std::vector<std::string> frames(1 + bytes.below(4));
    for (std::string& frame : frames) frame = bytes.any(bytes.below(20) == 0 ? 4'000 : 40);
    hostile.send(frames);
    say_now_and_then(i);
  }
  const auto messages = valid_messages();
  for (int i = 0; i < kMutatedMessages; ++i) {
    // Now and then a good hello, so that there is a session to break.
    const bool is_hello = bytes.below(10) == 0;
    LinkHeader header{};
    if (!is_hello) {
      header = {.session = bytes.below(40),
                .sequence = bytes.below(4),
                .received = bytes.below(4),
                .goes_on = bytes.below(8) == 0,
                .is_missing = bytes.below(8) == 0};
    }
    std::string first = text_of(encode(header));
    std::string second =
        text_of(encode(is_hello ? messages.front() : messages[bytes.below(messages.size())]));
    if (!is_hello && bytes.below(2) == 0) {
      std::string& frame = bytes.below(4) == 0 ? first : second;
      frame[bytes.below(frame.size())] ^= static_cast<char>(1 << bytes.below(8));
    }
    first.insert(first.begin(), static_cast<char>(first.size() / 8));
    if (bytes.below(20) == 0) first.front() = static_cast<char>(bytes.below(256));
    hostile.send({first + second});
    say_now_and_then(i);
  }
  const size_t after = resident_bytes();
  const size_t growth = after > before ? after - before : 0;
#ifndef __SANITIZE_ADDRESS__  // Which keeps freed memory for a while.
  CHECK(growth < kGrowthMax);
#endif
  // It did happen: sessions were begun and broken, and the good node was never away.
  CHECK(hostile.num_answers() > 1'000);
  CHECK(head.joined > 10);
  CHECK(head.gone > 10);
  CHECK(good.silent == 0);
  CHECK(said > 300);
  MESSAGE((growth >> 10) << " KiB more, " << head.joined.load() << " joined, " << head.gone.load()
                         << " given up, " << hostile.num_answers() << " answers");
}

}  // namespace
}  // namespace troupe::tests

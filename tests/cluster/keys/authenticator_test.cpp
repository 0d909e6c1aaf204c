// Who comes in, over real sockets of a real context.
#include "cluster/keys/authenticator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "tests/cluster/keys/key_parts.h"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using tests::HeadKeys;

constexpr int kManyTries = 1'000;
constexpr auto kPatience = std::chrono::minutes(1);

// A server for one kind, and what came to it.
class Server {
 public:
  Server(std::shared_ptr<KeyRing> ring, KeyKind kind) : ring_(std::move(ring)) {
    auto begun = Authenticator::begin(context_, find_in(ring_));
    REQUIRE(begun);
    authenticator_ = std::move(*begun);
    socket_ = zmq::socket_t(context_, zmq::socket_type::router);
    socket_.set(zmq::sockopt::linger, 0);
    set_curve_server(socket_, ring_->head_keys(), kind);
    socket_.bind("tcp://127.0.0.1:*");
  }
  ~Server() {
    socket_.close();
    authenticator_.reset();
  }

  std::string endpoint() const { return socket_.get(zmq::sockopt::last_endpoint); }

  struct Heard {
    std::string text{};
    std::string user_id{};
    std::optional<Identity> sender{};
  };
  // The next message, answered with "welcome"; nothing when none comes within `patience`.
  std::optional<Heard> hear(std::chrono::milliseconds patience) {
    zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
    zmq_poll(&item, 1, static_cast<long>(patience.count()));
    zmq::message_t route, text;
    if (zmq_msg_recv(route.handle(), socket_.handle(), ZMQ_DONTWAIT) < 0) return std::nullopt;
    REQUIRE(zmq_msg_recv(text.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0);
    const char* user_id = zmq_msg_gets(text.handle(), "User-Id");
    Heard heard{text.to_string(), user_id == nullptr ? "" : user_id, sender_of(text, *ring_)};
    zmq_msg_send(route.handle(), socket_.handle(), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket_.handle(), "welcome", 7, ZMQ_DONTWAIT);
    return heard;
  }

  Authenticator::Counts counts() const { return authenticator_->counts(); }
  zmq::context_t& context() { return context_; }

 private:
  std::shared_ptr<KeyRing> ring_;
  zmq::context_t context_{1};
  std::unique_ptr<Authenticator> authenticator_{};
  zmq::socket_t socket_{};
};

// Somebody who says "hello", and what becomes of it.
class Caller {
 public:
  Caller(zmq::context_t& context, const std::string& endpoint,
         const std::function<void(zmq::socket_t&)>& prepare)
      : socket_(context, zmq::socket_type::dealer), events_(context, zmq::socket_type::pair) {
    static int number = 0;
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::reconnect_ivl, -1);
    socket_.set(zmq::sockopt::handshake_ivl, 30'000);
    prepare(socket_);
    const std::string name = "inproc://caller" + std::to_string(++number);
    REQUIRE(zmq_socket_monitor(socket_.handle(), name.c_str(),
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                   ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_CLOSED |
                                   ZMQ_EVENT_DISCONNECTED) == 0);
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(name);
    socket_.connect(endpoint);
    zmq_send(socket_.handle(), "hello", 5, ZMQ_DONTWAIT);
  }
  ~Caller() {
    zmq_socket_monitor(socket_.handle(), nullptr, 0);
    events_.close();
  }

  // True when an answer comes, false when the connection ends before.
  bool is_answered() {
    std::array<zmq::pollitem_t, 2> items = {zmq::pollitem_t{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                            zmq::pollitem_t{events_.handle(), 0, ZMQ_POLLIN, 0}};
    REQUIRE(zmq_poll(items.data(), 2,
                     std::chrono::duration_cast<std::chrono::milliseconds>(kPatience).count()) > 0);
    zmq::message_t answer;
    return zmq_msg_recv(answer.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0;
  }

 private:
  zmq::socket_t socket_;
  zmq::socket_t events_;
};

void nothing(zmq::socket_t&) {}
std::function<void(zmq::socket_t&)> with(const KeyFile& file) {
  return [&file](zmq::socket_t& socket) { set_curve_client(socket, file); };
}

TEST_CASE("authenticator: the right key comes in under its name") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto olga = head.add_operator("olga");
  const auto node = head.add_node("gpu-7");
  for (const KeyFile* file : {&alice, &olga, &node}) {
    Server server(head.ring(), file->kind);
    Caller caller(server.context(), server.endpoint(), with(*file));
    const auto heard = server.hear(kPatience);
    REQUIRE(heard);
    CHECK(heard->text == "hello");
    CHECK(heard->user_id == file->name);
    REQUIRE(heard->sender);
    CHECK(heard->sender->name == file->name);
    CHECK(heard->sender->kind == file->kind);
    CHECK(heard->sender->is_operator == (file == &olga));
    CHECK(caller.is_answered());
  }
}

TEST_CASE(
    "authenticator: a stranger, a revoked key, the wrong kind and no key at all stay outside") {
  HeadKeys head;
  const auto revoked = head.add_user("alice");
  const auto node = head.add_node("gpu-7");
  auto misled = head.add_user("bob");
  misled.head_key = head.stranger().keys.public_key;  // Takes another for the head.
  Server server(head.watchful_ring(), KeyKind::kUser);
  {
    Caller caller(server.context(), server.endpoint(), with(revoked));
    CHECK(server.hear(kPatience));
  }
  REQUIRE(revoke_key(head.folder(), "alice"));
  const auto stranger = head.stranger();
  const auto plain = [](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::plain_username, "bob");
    socket.set(zmq::sockopt::plain_password, "bob");
  };
  for (const auto& prepare :
       {std::function<void(zmq::socket_t&)>(nothing), with(stranger), with(revoked), with(node),
        with(misled), std::function<void(zmq::socket_t&)>(plain)}) {
    Caller caller(server.context(), server.endpoint(), prepare);
    CHECK(!caller.is_answered());
    CHECK(!server.hear(0ms));
  }
  CHECK(server.counts().admitted == 1);
  Server for_nodes(head.ring(), KeyKind::kNode);
  const auto bob = read_key_file(head.key_path("bob"));
  REQUIRE(bob);
  Caller caller(for_nodes.context(), for_nodes.endpoint(), with(*bob));
  CHECK(!caller.is_answered());
  CHECK(for_nodes.counts().admitted == 0);
}

TEST_CASE("authenticator: the connection of a key that was taken away says nothing any more") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto ring = head.watchful_ring();
  Server server(ring, KeyKind::kUser);
  zmq::socket_t socket(server.context(), zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  set_curve_client(socket, alice);
  socket.connect(server.endpoint());
  zmq_send(socket.handle(), "one", 3, 0);
  const auto one = server.hear(kPatience);
  REQUIRE(one);
  CHECK(one->sender);
  REQUIRE(revoke_key(head.folder(), "alice"));
  // Also not for the new owner of the name.
  std::filesystem::remove(head.key_path("alice"));
  head.add_operator("alice");
  zmq_send(socket.handle(), "two", 3, 0);
  const auto two = server.hear(kPatience);
  REQUIRE(two);
  CHECK(two->text == "two");
  CHECK(!two->sender);
}

TEST_CASE("authenticator: what a peer says of itself does not make it somebody else") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto olga = head.add_operator("olga");
  Server server(head.ring(), KeyKind::kUser);
  constexpr int kMetadata = 95;  // ZMQ_METADATA, which the header keeps among drafts.
  int taken = 0;
  Caller caller(server.context(), server.endpoint(), [&](zmq::socket_t& socket) {
    set_curve_client(socket, alice);
    const std::string key = "X-Troupe-Key:" + olga.keys.public_key;
    taken += zmq_setsockopt(socket.handle(), kMetadata, key.data(), key.size()) == 0;
    taken += zmq_setsockopt(socket.handle(), kMetadata, "X-Other:1", 9) == 0;
    socket.set(zmq::sockopt::routing_id, "olga");
  });
  const auto heard = server.hear(kPatience);
  REQUIRE(heard);
  REQUIRE(heard->sender);
  CHECK(heard->sender->name == "alice");
  CHECK(heard->user_id == "alice");
  CHECK(taken == 2);
}

TEST_CASE("authenticator: of 1,000 tries of strangers none comes in") {
  HeadKeys head;
  const auto node = head.add_node("gpu-7");
  const auto bob = head.add_user("bob");
  const auto revoked = head.add_user("alice");
  REQUIRE(revoke_key(head.folder(), "alice"));
  Server server(head.ring(), KeyKind::kUser);
  zmq::context_t callers(1);
  const auto revoked_or_wrong = {with(revoked), with(node)};
  size_t answered = 0;
  for (int i = 0; i < kManyTries; ++i) {
    const auto stranger = head.stranger();
    Caller caller(callers, server.endpoint(),
                  i % 3 == 0   ? with(stranger)
                  : i % 3 == 1 ? *(revoked_or_wrong.begin() + i % 2)
                               : nothing);
    answered += caller.is_answered();
    CHECK(!server.hear(0ms));
  }
  CHECK(answered == 0);
  CHECK(server.counts().admitted == 0);
  // Those without CURVE are not even asked about.
  CHECK(server.counts().refused >= kManyTries / 2);
  // And the door has not jammed.
  Caller caller(callers, server.endpoint(), with(bob));
  CHECK(server.hear(kPatience));
}

TEST_CASE("authenticator: without one nobody comes in") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  zmq::context_t context(1);
  zmq::socket_t socket(context, zmq::socket_type::router);
  socket.set(zmq::sockopt::linger, 0);
  set_curve_server(socket, *read_head_keys(head.folder()), KeyKind::kUser);
  socket.bind("tcp://127.0.0.1:*");
  Caller caller(context, socket.get(zmq::sockopt::last_endpoint), with(alice));
  CHECK(!caller.is_answered());
}

TEST_CASE("authenticator: questions of any shape are answered, and let nobody in") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto ring = head.ring();
  const auto key = *public_key_of(alice.keys.public_key);
  const std::vector<std::string> right = {
      "1.0",
      "7",
      "users",
      "127.0.0.1",
      "",
      "CURVE",
      std::string(reinterpret_cast<const char*>(key.data()), key.size())};
  REQUIRE(admit(right, find_in(ring)));
  CHECK(zap_reply(right, admit(right, find_in(ring)))[4] == "alice");
  for (size_t frame = 0; frame < right.size(); ++frame) {
    for (const std::string& other :
         {std::string(), std::string(1'000, 'x'), std::string("\0", 1)}) {
      auto wrong = right;
      wrong[frame] = other;
      // The number of the question, the address and the routing id are the caller's affair.
      const bool is_free = frame == 1 || frame == 3 || frame == 4;
      CHECK(admit(wrong, find_in(ring)).has_value() == is_free);
      const auto reply = zap_reply(wrong, admit(wrong, find_in(ring)));
      REQUIRE(reply.size() == 6);
      CHECK(reply[1] == wrong[1]);
      CHECK(reply[2] == (is_free ? "200" : "400"));
    }
  }
  for (size_t count = 0; count < right.size(); ++count) {
    const std::vector<std::string> cut(right.begin(),
                                       right.begin() + static_cast<std::ptrdiff_t>(count));
    CHECK(!admit(cut, find_in(ring)));
    CHECK(zap_reply(cut, std::nullopt).size() == 6);
  }
  auto longer = right;
  longer.push_back("more");
  CHECK(!admit(longer, find_in(ring)));
}

}  // namespace
}  // namespace troupe::cluster

// The front door from the network: real sockets, real keys.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster/keys/curve_socket.h"
#include "cluster/monitor/metrics_feed.h"
#include "tests/cluster/gateway/door_fixture.h"
#include "tests/cluster/keys/key_parts.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using tests::eventually;
using tests::HeadKeys;
using tests::JobBook;
using tests::open_door;

constexpr int kManyTries = 1'000;

FrontDoor::Options network_options(const tests::TempDir& dir, std::shared_ptr<KeyRing> ring,
                                   const std::string& host = "127.0.0.1") {
  return {.folder = dir.file("door"),
          .network = FrontDoor::Network{.address = {host, 0}, .keys = std::move(ring)}};
}

Result<std::unique_ptr<FrontDoorClient>> try_connect(const FrontDoor& door, const KeyFile& key,
                                                     milliseconds deadline = 10s) {
  return FrontDoorClient::connect(
      {.network = FrontDoorClient::Network{*door.network_address(), key, key.name + ".key"},
       .deadline = deadline});
}

std::unique_ptr<FrontDoorClient> connect(const FrontDoor& door, const KeyFile& key,
                                         milliseconds deadline = 10s) {
  auto client = try_connect(door, key, deadline);
  if (!client) MESSAGE(client.error().message);
  REQUIRE(client);
  return std::move(*client);
}

// Says who asked.
ServeControl who_asks() {
  return [](const ControlRequest&, const Asker& asker, const auto& answer) {
    answer({.lines = {asker.name, asker.is_operator ? "operator" : "user"}});
  };
}
std::vector<std::string> who(FrontDoorClient& client) {
  const auto reply = client.ask(ListJobs{});
  if (!reply) MESSAGE(reply.error().message);
  REQUIRE(reply);
  return reply->lines;
}

TEST_CASE("network door: who asks is told by the key, beside the daemon's own socket") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto olga = head.add_operator("olga");
  const tests::TempDir dir;
  const auto door = open_door(network_options(dir, head.ring()), who_asks());
  REQUIRE(door->network_address());
  CHECK(door->network_address()->port != 0);
  const auto of_alice = connect(*door, alice);
  CHECK(who(*of_alice) == std::vector<std::string>{"alice", "user"});
  CHECK(of_alice->server().name == "alice");
  CHECK_FALSE(of_alice->server().is_operator);
  const auto of_olga = connect(*door, olga);
  CHECK(who(*of_olga) == std::vector<std::string>{"olga", "operator"});
  CHECK(of_olga->server().is_operator);
  const auto here = tests::client_of(dir.file("door"));
  CHECK(who(*here) == std::vector<std::string>{"", "operator"});
  CHECK(here->ask(ShowServer{})->server->is_operator);
}

TEST_CASE("network door: IPv6 and all addresses") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  for (const char* host : {"::1", "0.0.0.0"}) {
    CAPTURE(host);
    if (!listen_at({host, 0})) continue;  // A host without IPv6.
    const tests::TempDir dir;
    const auto door = open_door(network_options(dir, head.ring(), host), who_asks());
    auto address = *door->network_address();
    if (address.host == "0.0.0.0") address.host = "localhost";
    const auto client = FrontDoorClient::connect(
        {.network = FrontDoorClient::Network{address, alice, "alice.key"}});
    REQUIRE(client);
    CHECK(who(**client)[0] == "alice");
  }
}

TEST_CASE("network door: a key that is not let in is one line, at once") {
  HeadKeys head;
  const auto revoked = head.add_user("alice");
  const auto node = head.add_node("gpu-7");
  auto misled = head.add_user("bob");
  misled.head_key = head.stranger().keys.public_key;
  REQUIRE(revoke_key(head.folder(), "alice"));
  const tests::TempDir dir;
  const auto door = open_door(network_options(dir, head.ring()), who_asks());
  for (const KeyFile& key : {revoked, node, head.stranger()}) {
    const auto client = try_connect(*door, key, 1min);
    REQUIRE_FALSE(client);
    CHECK(client.error().code == ErrorCode::kInvalidArgument);
    CHECK(client.error().message.find(" refuses the key " + key.name + ".key") !=
          std::string::npos);
  }
  const auto client = try_connect(*door, misled, 1min);
  REQUIRE_FALSE(client);
  CHECK(client.error().code == ErrorCode::kInvalidArgument);
  CHECK(client.error().message.find("another head than the one that made the key") !=
        std::string::npos);
  CHECK(door->counts().requests == 0);
  CHECK(door->counts().admitted == 0);
}

TEST_CASE("network door: something else that listens there is told from a daemon") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto listening = listen_at({"127.0.0.1", 0});
  REQUIRE(listening);
  const auto silent = FrontDoorClient::connect(
      {.network = FrontDoorClient::Network{listening->address, alice, "alice.key"},
       .deadline = 200ms});
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == ErrorCode::kInternal);
  CHECK(silent.error().message.find("says nothing within 0.2 s") != std::string::npos);
}

TEST_CASE("network door: a key that is revoked is nobody's at once, on connections it has, too") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto bob = head.add_user("bob");
  const tests::TempDir dir;
  std::vector<std::function<void(ControlReply)>> kept;
  const auto door = open_door(network_options(dir, head.watchful_ring()),
                              [&](const ControlRequest& request, const Asker&, const auto& answer) {
                                std::holds_alternative<ShowJob>(request) ? kept.push_back(answer)
                                                                         : answer({.next = 7});
                              });
  const auto of_alice = connect(*door, alice, 300ms);
  const auto of_bob = connect(*door, bob);
  CHECK(of_alice->ask(ListJobs{})->next == 7);
  REQUIRE(of_alice->subscribe(1));
  REQUIRE(of_bob->subscribe(1));
  const auto hears = [&](FrontDoorClient& client) {
    door->publish(feed_topic(1), client.server().name,
                  encode(RunEvent{.job = 1, .what = Noted{"hello"}}));
    return client.next_event(10ms)->has_value();
  };
  CHECK(eventually([&] { return hears(*of_alice); }));
  CHECK(eventually([&] { return hears(*of_bob); }));
  while (*of_alice->next_event(0ms)) {
  }
  // An answer that was on its way when it happened stays here as well.
  Result<ControlReply> reply = ControlReply{};
  std::thread asking([&] { reply = of_alice->ask(ShowJob{1}); });
  CHECK(eventually([&] { return door->counts().requests >= 2 + 2 + 2 && !kept.empty(); }));
  REQUIRE(revoke_key(head.folder(), "alice"));
  kept.front()({.next = 8});
  asking.join();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == ErrorCode::kInvalidArgument);
  CHECK(reply.error().message.find("refuses the key alice.key") != std::string::npos);
  CHECK(door->counts().replies_lost == 1);
  for (int i = 0; i < 50; ++i) {
    door->publish(feed_topic(1), "alice", encode(RunEvent{.job = 1, .what = Noted{"secret"}}));
    CHECK_FALSE(*of_alice->next_event(1ms));
  }
  CHECK(eventually([&] { return door->counts().strangers > 0 || hears(*of_bob); }));
  CHECK_FALSE(of_alice->ask(ListJobs{}));
  CHECK(of_bob->ask(ListJobs{}));
}

TEST_CASE("network door: a user sees events of own jobs only, an operator of all") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto bob = head.add_user("bob");
  const auto olga = head.add_operator("olga");
  const tests::TempDir dir;
  const auto door = open_door(network_options(dir, head.ring()), who_asks());
  const auto of_alice = connect(*door, alice);
  const auto of_bob = connect(*door, bob);
  const auto of_olga = connect(*door, olga);
  const auto here = tests::client_of(dir.file("door"));
  for (const auto* client : {&of_alice, &of_bob, &of_olga, &here}) {
    REQUIRE((*client)->subscribe(1));
    REQUIRE((*client)->subscribe(2));
    REQUIRE((*client)->subscribe(3));
  }
  // Job 1 is Alice's, job 2 Bob's, job 3 nobody's.
  std::array<std::set<uint64_t>, 4> heard;
  uint64_t sequence = 0;
  CHECK(eventually([&] {
    ++sequence;
    const std::array<std::string, 3> owners = {"alice", "bob", ""};
    for (uint64_t job = 1; job <= 3; ++job) {
      door->publish(feed_topic(job), owners[job - 1],
                    encode(RunEvent{.job = job, .sequence = sequence, .what = Noted{"hello"}}));
    }
    size_t index = 0;
    for (const auto* client : {&of_alice, &of_bob, &of_olga, &here}) {
      for (auto event = (*client)->next_event(5ms); *event; event = (*client)->next_event(0ms)) {
        heard[index].insert((*event)->job);
      }
      ++index;
    }
    return heard[2].size() == 3 && heard[3].size() == 3 && !heard[0].empty() && !heard[1].empty();
  }));
  CHECK(heard[0] == std::set<uint64_t>{1});
  CHECK(heard[1] == std::set<uint64_t>{2});
}

TEST_CASE("network door: who follows in hundreds gets each event") {
  HeadKeys head;
  const auto olga = head.add_operator("olga");
  const tests::TempDir dir;
  const auto door = open_door(network_options(dir, head.ring()), who_asks());
  zmq::context_t context(1);
  constexpr size_t kWatchers = 200;
  std::vector<zmq::socket_t> watchers;
  const auto follow = encode(ControlRequest(FollowJob{1}));
  const std::string endpoint = "tcp://" + text_of(*door->network_address());
  for (size_t i = 0; i < kWatchers; ++i) {
    zmq::socket_t& socket = watchers.emplace_back(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, 60'000);
    set_curve_client(socket, olga);
    socket.connect(endpoint);
  }
  const auto ask = [&](zmq::socket_t& socket) {
    zmq_send(socket.handle(), "tag", 3, ZMQ_SNDMORE);
    zmq_send(socket.handle(), follow.data(), follow.size(), 0);
    zmq::message_t tag, reply;
    REQUIRE(socket.recv(tag));
    REQUIRE(socket.recv(reply));
    return decode_control_reply({reply.data<std::byte>(), reply.size()});
  };
  for (auto& socket : watchers) {
    // All of them are one user, who may ask so often only.
    CHECK(eventually([&] {
      const auto reply = ask(socket);
      REQUIRE(reply);
      return !reply->error;
    }));
  }
  constexpr uint64_t kEvents = 20;
  for (uint64_t sequence = 1; sequence <= kEvents; ++sequence) {
    door->publish(feed_topic(1), "alice",
                  encode(RunEvent{.job = 1, .sequence = sequence, .what = Noted{"hello"}}));
  }
  for (auto& socket : watchers) {
    uint64_t sequence = 0;
    while (sequence < kEvents) {
      zmq::message_t nothing, batch;
      REQUIRE(socket.recv(nothing));
      REQUIRE(nothing.size() == 0);
      REQUIRE(socket.recv(batch));
      const auto reply = decode_control_reply({batch.data<std::byte>(), batch.size()});
      REQUIRE(reply);
      for (const auto& event : reply->events) {
        const auto decoded = decode_run_event(event);
        REQUIRE(decoded);
        CHECK(decoded->sequence == ++sequence);
      }
    }
  }
}

TEST_CASE("network door: the bounds are a user's, however many connections") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto bob = head.add_user("bob");
  const tests::TempDir dir;
  auto options = network_options(dir, head.ring());
  options.limits = {.per_client_per_second = 0.001, .per_client_burst = 10};
  const auto door = open_door(std::move(options), who_asks());
  int served = 0;
  for (int i = 0; i < 20; ++i) {
    if (try_connect(*door, alice)) ++served;
  }
  CHECK(served == 10);
  CHECK(who(*connect(*door, bob))[0] == "bob");
  CHECK(who(*tests::client_of(dir.file("door")))[1] == "operator");
}

TEST_CASE("network door: a submit whose connection breaks is sent again and is one job") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const tests::TempDir dir;
  JobBook book;
  std::atomic<int> heard{0};
  auto door = open_door(network_options(dir, head.ring()),
                        [&](const ControlRequest& request, const Asker&, const auto&) {
                          (void)book.serve(request);
                          ++heard;
                        });
  const auto address = *door->network_address();
  const auto client = connect(*door, alice);
  Result<ControlReply> submitted = ControlReply{};
  std::thread asking([&] { submitted = client->ask(SubmitJob{"once", {}}); });
  CHECK(eventually([&] { return heard == 1; }));
  door.reset();
  auto options = network_options(dir, head.ring());
  options.network->address = address;
  door = open_door(std::move(options), book.at_once());
  asking.join();
  if (!submitted) MESSAGE(submitted.error().message);
  REQUIRE(submitted);
  CHECK(submitted->jobs[0].id == 1);
  CHECK(client->ask(ListJobs{})->jobs.size() == 1);
}

TEST_CASE("network door: an address that is taken, keys that are open to others: no door") {
  HeadKeys head;
  const auto taken = listen_at({"127.0.0.1", 0});
  REQUIRE(taken);
  const tests::TempDir dir;
  auto options = network_options(dir, head.ring());
  options.network->address = taken->address;
  const auto door = FrontDoor::open(std::move(options), who_asks());
  REQUIRE_FALSE(door);
  CHECK(door.error().code == ErrorCode::kInvalidArgument);
  CHECK(door.error().message.find("Address already in use") != std::string::npos);
}

// A dealer without rules.
class Stranger {
 public:
  Stranger(zmq::context_t& context, const FrontDoor& door, const KeyFile* key)
      : socket_(context, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::reconnect_ivl, -1);
    if (key != nullptr) set_curve_client(socket_, *key);
    socket_.connect("tcp://" + text_of(*door.network_address()));
    const auto request = encode(ControlRequest(ListJobs{}));
    zmq_send(socket_.handle(), "tag", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket_.handle(), request.data(), request.size(), ZMQ_DONTWAIT);
  }
  bool has_heard() {
    zmq::message_t frame;
    return zmq_msg_recv(frame.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0;
  }

 private:
  zmq::socket_t socket_;
};

TEST_CASE("network door: of 1,000 strangers none is served, and the others do not notice") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto revoked = head.add_user("bob");
  const auto node = head.add_node("gpu-7");
  REQUIRE(revoke_key(head.folder(), "bob"));
  const tests::TempDir dir;
  const auto door = open_door(network_options(dir, head.ring()), who_asks());
  const auto good = connect(*door, alice);
  const uint64_t requests = door->counts().requests;
  zmq::context_t context(1);
  std::vector<std::unique_ptr<Stranger>> strangers;
  size_t heard = 0;
  uint64_t asked = 0;
  for (int i = 0; i < kManyTries; ++i) {
    const auto foreign = head.stranger();
    const KeyFile* key = i % 4 == 0   ? nullptr
                         : i % 4 == 1 ? &foreign
                         : i % 4 == 2 ? &revoked
                                      : &node;
    strangers.push_back(std::make_unique<Stranger>(context, *door, key));
    if (i % 100 != 99) continue;
    // All with a key were asked about by now, or will be.
    CHECK(eventually([&] { return door->counts().refused >= static_cast<uint64_t>(i) * 3 / 4; }));
    CHECK(who(*good)[0] == "alice");
    ++asked;
    for (auto& stranger : strangers) heard += stranger->has_heard();
    strangers.clear();
  }
  CHECK(heard == 0);
  CHECK(door->counts().admitted == 1);
  CHECK(door->counts().requests == requests + asked);
}

TEST_CASE("network door: too many connections are hung up on, and those there are stay") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const tests::TempDir dir;
  auto options = network_options(dir, head.ring());
  options.network->connections_max = 8;
  const auto door = open_door(std::move(options), who_asks());
  const auto good = connect(*door, alice);
  // Strangers who say nothing.
  std::vector<Descriptor> held;
  const auto address = *door->network_address();
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 100; ++i) {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
    held.push_back(std::move(socket));
  }
  const auto has_ended = [](const Descriptor& one) {
    std::array<char, 64> bytes{};  // Its end may come behind a greeting.
    ssize_t got = 0;
    do {
      got = ::recv(one.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    } while (got > 0);
    return got == 0 || errno == ECONNRESET;
  };
  // The last at once, and not all when their time for a handshake is over, the first ones first.
  CHECK(eventually([&] { return has_ended(held.back()); }));
  CHECK_FALSE(has_ended(held.front()));
  CHECK(who(*good)[0] == "alice");
  CHECK(door->counts().restarts == 0);
  // There is room again when they are gone, also when they only fell silent.
  CHECK(eventually([&] { return bool(try_connect(*door, alice, 200ms)); }));
  CHECK(who(*good)[0] == "alice");
}

}  // namespace
}  // namespace troupe::cluster

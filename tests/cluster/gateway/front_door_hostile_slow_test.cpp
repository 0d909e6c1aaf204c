// Whoever may open the socket may send anything: the daemon goes on serving and stays as it is.
#include <doctest/doctest.h>
#include <string>

#include "cluster/keys/curve_socket.h"
#include "tests/cluster/gateway/door_fixture.h"
#include "tests/cluster/keys/key_parts.h"
#include "tests/support/hostile_bytes.h"

namespace troupe::cluster {
namespace {

using tests::Bytes;
using tests::RawClient;
using tests::resident_bytes;

constexpr int kRawConnections = 30'000;
constexpr int kRandomMessages = 35'000;
constexpr int kMutatedRequests = 35'000;
constexpr int kAskEvery = 250;
constexpr size_t kGrowthMax = 16 << 20;

// Greetings as they should begin, so that some bytes reach the handshake behind them.
std::string hostile_greeting(Bytes& bytes) {
  std::string greeting("\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL", 16);
  greeting.resize(64, '\0');
  greeting.resize(bytes.below(65));
  return (bytes.below(2) == 0 ? greeting : std::string()) + bytes.any(200);
}

std::vector<std::string> valid_requests() {
  JobSpec job;
  job.name = "mutated";
  job.rewards = {{"accuracy", "math", 1.0}};
  job.data.cold_start = {"/a.jsonl", "/b.jsonl"};
  std::vector<std::string> requests;
  for (const ControlRequest& request :
       {ControlRequest{SubmitJob{"request", job}}, ControlRequest{ListJobs{3}},
        ControlRequest{JobLogs{1, 7}}, ControlRequest{WatchJob{1, 2}}, ControlRequest{CancelJob{1}},
        ControlRequest{ShowServer{}}, ControlRequest{FollowJob{1}}, ControlRequest{WhyJob{1}},
        ControlRequest{ListHosts{}}, ControlRequest{DrainHost{"a"}},
        ControlRequest{UndrainHost{"a"}}, ControlRequest{ExamineHost{"a"}}}) {
    const auto bytes = encode(request);
    requests.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return requests;
}

TEST_CASE("front_door: 100,000 hostile messages change nothing for the one who behaves") {
  const tests::TempDir dir;
  tests::JobBook book;
  // No rates, so that everything reaches the decoders.
  const auto door =
      tests::open_door({.folder = dir.file("door"),
                        .limits = {.per_second = 1e9,
                                   .burst = 1e9,
                                   .per_client_per_second = 1e9,
                                   .per_client_burst = 1e9}},
                       [&book](const ControlRequest& request, const Asker&, const auto& answer) {
                         // A mutated submit may be a valid one; it is not kept.
                         const bool is_submit = std::holds_alternative<SubmitJob>(request);
                         answer(is_submit ? ControlReply{} : book.serve(request));
                       });
  const auto good = tests::client_of(dir.file("door"));
  Bytes bytes;
  int asked = 0;
  double slowest = 0;
  const auto ask_now_and_then = [&](int i) {
    if (i % kAskEvery != 0) return;
    const auto began = std::chrono::steady_clock::now();
    REQUIRE(good->ask(ListJobs{}));
    slowest = std::max(
        slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    ++asked;
  };
  const auto began = std::chrono::steady_clock::now();
  size_t before = 0;

  const std::string path = control_socket(dir.file("door"));
  const std::string feed = feed_socket(dir.file("door"));
  for (int i = 0; i < kRawConnections; ++i) {
    // What libzmq takes once for its own tables is there after the first thousand.
    if (i == 1'000) before = resident_bytes();
    int socket = -1;
    REQUIRE(tests::eventually([&] {
      socket = tests::connect_bare(i % 4 == 0 ? feed : path);
      return socket >= 0;
    }));
    const std::string greeting = hostile_greeting(bytes);
    (void)!::send(socket, greeting.data(), greeting.size(), MSG_NOSIGNAL);
    ::close(socket);
    ask_now_and_then(i);
  }
  {
    RawClient hostile(dir.file("door"));
    for (int i = 0; i < kRandomMessages; ++i) {
      std::vector<std::string> frames(1 + bytes.below(4));
      for (std::string& frame : frames) frame = bytes.any(bytes.below(20) == 0 ? 4'000 : 40);
      hostile.send(frames);
      hostile.drain();
      ask_now_and_then(i);
    }
  }
  {
    RawClient hostile(dir.file("door"));
    const auto requests = valid_requests();
    for (int i = 0; i < kMutatedRequests; ++i) {
      std::string request = requests[bytes.below(requests.size())];
      for (size_t changes = 1 + bytes.below(4); changes > 0 && !request.empty(); --changes) {
        switch (bytes.below(3)) {
          case 0:
            request[bytes.below(request.size())] ^= static_cast<char>(1 << bytes.below(8));
            break;
          case 1:
            request[bytes.below(request.size())] = static_cast<char>(bytes.below(256));
            break;
          default:
            if (bytes.below(8) == 0) request.resize(bytes.below(request.size() + 1));
        }
      }
      hostile.send({"tag", request});
      hostile.drain();
      ask_now_and_then(i);
    }
  }
  REQUIRE(good->ask(ListJobs{}));
  const size_t after = resident_bytes();
  const size_t growth = after > before ? after - before : 0;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
#ifndef __SANITIZE_ADDRESS__  // Which keeps freed memory for a while.
  CHECK(growth < kGrowthMax);
#endif
  CHECK(asked == (kRawConnections + kRandomMessages + kMutatedRequests) / kAskEvery);
  // It did happen: the bytes arrived, and some of them were requests.
  const auto counts = door->counts();
  CHECK(counts.malformed > 1'000);
  CHECK(counts.undecodable > 1'000);
  CHECK(counts.requests > 1'000);
  MESSAGE("100,000 hostile messages in "
          << seconds << " s, " << growth / 1024 << " KiB more; asked " << asked
          << " times, slowest " << 1000 * slowest << " ms; malformed " << counts.malformed
          << ", undecodable " << counts.undecodable << ", requests " << counts.requests
          << ", overloaded " << counts.overloaded);
}

TEST_CASE("network door: hostile bytes at its port, and a user's nonsense, change nothing") {
  const tests::TempDir dir;
  tests::HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto mallory = head.add_user("mallory");
  tests::JobBook book;
  const auto door = tests::open_door(
      {.folder = dir.file("door"),
       .network = FrontDoor::Network{.address = {"127.0.0.1", 0}, .keys = head.ring()},
       .limits = {.per_second = 1e9,
                  .burst = 1e9,
                  .per_client_per_second = 1e9,
                  .per_client_burst = 1e9}},
      [&book](const ControlRequest& request, const Asker&, const auto& answer) {
        const bool is_submit = std::holds_alternative<SubmitJob>(request);
        answer(is_submit ? ControlReply{} : book.serve(request));
      });
  const auto address = *door->network_address();
  const auto good =
      FrontDoorClient::connect({.network = FrontDoorClient::Network{address, alice, "alice.key"}});
  REQUIRE(good);
  Bytes bytes;
  int asked = 0;
  const auto ask_now_and_then = [&](int i) {
    if (i % kAskEvery != 0) return;
    REQUIRE((*good)->ask(ListJobs{}));
    ++asked;
  };
  size_t before = 0;
  for (int i = 0; i < kRawConnections; ++i) {
    if (i == 1'000) before = resident_bytes();
    REQUIRE(tests::eventually(
        [&] { return tests::say_to_port(address.port, tests::hostile_curve_greeting(bytes)); }));
    ask_now_and_then(i);
  }
  zmq::context_t context(1);
  zmq::socket_t hostile(context, zmq::socket_type::dealer);
  hostile.set(zmq::sockopt::linger, 0);
  hostile.set(zmq::sockopt::reconnect_ivl, 1);
  hostile.set(zmq::sockopt::sndtimeo, 60'000);
  set_curve_client(hostile, mallory);
  hostile.connect("tcp://" + text_of(address));
  const auto send = [&](const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      zmq_send(hostile.handle(), frames[i].data(), frames[i].size(), more);
    }
    zmq::message_t frame;
    while (zmq_msg_recv(frame.handle(), hostile.handle(), ZMQ_DONTWAIT) >= 0) {
    }
  };
  const auto requests = valid_requests();
  for (int i = 0; i < kRandomMessages; ++i) {
    std::vector<std::string> frames(1 + bytes.below(4));
    for (std::string& frame : frames) frame = bytes.any(bytes.below(20) == 0 ? 4'000 : 40);
    send(frames);
    std::string request = requests[bytes.below(requests.size())];
    request[bytes.below(request.size())] ^= static_cast<char>(1 << bytes.below(8));
    send({"tag", request});
    ask_now_and_then(i);
  }
  // One that is too long ends its connection.
  send({"tag", std::string(kControlBytesMax + 1'000, 'x')});
  REQUIRE((*good)->ask(ListJobs{}));
  const size_t after = resident_bytes();
#ifndef __SANITIZE_ADDRESS__  // Which keeps freed memory for a while.
  CHECK((after > before ? after - before : 0) < kGrowthMax);
#endif
  CHECK(asked == (kRawConnections + kRandomMessages) / kAskEvery);
  const auto counts = door->counts();
  CHECK(counts.malformed > 1'000);
  CHECK(counts.undecodable > 1'000);
  CHECK(counts.requests > 1'000);
  CHECK(counts.admitted >= 2);
}

}  // namespace
}  // namespace troupe::cluster

// A head and its users on other hosts, as they see each other: two users, an operator, strangers.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <zmq.hpp>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "cluster/keys/curve_socket.h"
#include "cluster/keys/keys_folder.h"
#include "schemas/control_codec.h"
#include "tests/support/network_head.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Ended;
using tests::NetworkHead;
using tests::Process;

constexpr int kEndless = 100'000;  // Steps.

std::vector<std::string> submission(const NetworkHead& head, const std::string& request_id,
                                    int seed, int steps = 2) {
  return {"submit",
          head.job().job(),
          "--json",
          "--request-id",
          request_id,
          "--set",
          "seed=" + std::to_string(seed),
          "--set",
          "grpo.steps=" + std::to_string(steps)};
}

// Ids and owners.
std::set<std::pair<int, std::string>> listed(const Ended& jobs) {
  REQUIRE_MESSAGE(jobs.exit_code == 0, jobs.error);
  std::set<std::pair<int, std::string>> all;
  for (const auto& one : json::parse(jobs.out)) all.emplace(one["id"], one["owner"]);
  return all;
}

TEST_CASE("network users: each has own jobs, the operator all, also after a kill of the head") {
  NetworkHead head;
  // One name of a request is one job of each owner.
  const int of_alice = head.id_of(head.as("alice", submission(head, "first", 1)));
  const int of_bob = head.id_of(head.as("bob", submission(head, "first", 2, kEndless)));
  const int of_olga = head.id_of(head.as("olga", submission(head, "first", 3, kEndless)));
  const int of_here = head.id_of(head.here(submission(head, "first", 4)));
  CHECK(std::set<int>{of_alice, of_bob, of_olga, of_here}.size() == 4);
  CHECK(head.id_of(head.as("alice", submission(head, "first", 1))) == of_alice);
  CHECK(head.id_of(head.here(submission(head, "first", 4))) == of_here);

  const std::set<std::pair<int, std::string>> all = {
      {of_alice, "alice"}, {of_bob, "bob"}, {of_olga, "olga"}, {of_here, ""}};
  const std::string alices = std::to_string(of_alice);
  const auto check_who_sees_what = [&] {
    using Listed = std::set<std::pair<int, std::string>>;
    CHECK(listed(head.as("alice", {"jobs", "--json"})) == Listed{{of_alice, "alice"}});
    CHECK(listed(head.as("bob", {"jobs", "--json"})) == Listed{{of_bob, "bob"}});
    CHECK(listed(head.as("olga", {"jobs", "--json"})) == all);
    CHECK(listed(head.here({"jobs", "--json"})) == all);
    // Another's job is answered like one that there is not.
    for (const std::string verb : {"show", "cancel", "pause", "resume", "logs", "watch"}) {
      const Ended others = head.as("bob", {verb, alices});
      Ended nobodys = head.as("bob", {verb, "99"});
      CAPTURE(others.error);
      CHECK(others.exit_code == 2);
      CHECK(nobodys.exit_code == 2);
      CHECK(others.out.empty());
      const size_t number = nobodys.error.find("99");
      REQUIRE(number != std::string::npos);
      CHECK(others.error == nobodys.error.replace(number, 2, alices));
    }
  };
  check_who_sees_what();
  CHECK(head.as("olga", {"jobs"}).out.find("OWNER") != std::string::npos);
  CHECK(head.as("alice", {"jobs"}).out.find("OWNER") == std::string::npos);
  CHECK(head.as("olga", {"show", alices}).out.find("owner    alice") != std::string::npos);

  head.daemon().signal(SIGKILL);
  CHECK(head.daemon().wait().exit_code == -1);
  head.start(head.address());  // The port is free again at once.
  check_who_sees_what();
  CHECK(head.id_of(head.as("alice", submission(head, "first", 1))) == of_alice);

  // The operator may change everybody's; the owner watches to the end.
  CHECK(head.as("olga", {"cancel", std::to_string(of_bob)}).exit_code == 0);
  CHECK(head.as("bob", {"watch", std::to_string(of_bob)}).error.find("is cancelled") !=
        std::string::npos);
  CHECK(head.here({"cancel", std::to_string(of_olga)}).exit_code == 0);
  const Ended watched = head.as("alice", {"watch", alices, "--json"});
  CAPTURE(watched.error);
  CHECK(watched.exit_code == 0);
  CHECK(json::parse(watched.out)["state"] == "finished");
  CHECK(head.as("alice", {"logs", alices}).out.find("grpo 2/2") != std::string::npos);
  CHECK(head.as("olga", {"watch", alices}).exit_code == 0);
}

TEST_CASE("network users: a key that is revoked while the head runs is refused at once") {
  NetworkHead head;
  const int id = head.id_of(head.as("alice", submission(head, "long", 1, kEndless)));
  Process watching({.arguments = head.with_key("alice", {"watch", std::to_string(id)})});
  CHECK(watching.waits_for([&] { return head.as("bob", {"jobs"}).exit_code == 0; },
                           std::chrono::minutes(1)));
  REQUIRE(head.keys({"revoke", "alice"}).exit_code == 0);
  // Within a second, which is when the head looks at its keys again.
  Ended refused;
  CHECK(head.daemon().waits_for(
      [&] {
        refused = head.as("alice", {"jobs"});
        return refused.exit_code != 0;
      },
      std::chrono::seconds(30)));
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.rfind(
            "troupe jobs: " + head.address() + " refuses the key " + head.key_path("alice"), 0) ==
        0);
  CHECK(std::count(refused.error.begin(), refused.error.end(), '\n') == 1);
  const Ended watched = watching.wait();
  CHECK(watched.exit_code == 2);
  CHECK(watched.error.find("refuses the key") != std::string::npos);
  // What was hers goes on, and others are served.
  CHECK(head.as("olga", {"show", std::to_string(id)}).out.find("owner    alice") !=
        std::string::npos);
  CHECK(head.as("bob", {"jobs"}).exit_code == 0);
  CHECK(head.as("olga", {"cancel", std::to_string(id)}).exit_code == 0);
}

TEST_CASE("network users: strangers hear nothing from the head") {
  NetworkHead head;
  const auto node = cluster::read_key_file(head.key_path("gpu-7"));
  const auto revoked = cluster::read_key_file(head.key_path("bob"));
  const auto alice = cluster::read_key_file(head.key_path("alice"));
  REQUIRE(node);
  REQUIRE(revoked);
  REQUIRE(alice);
  REQUIRE(head.keys({"revoke", "bob"}).exit_code == 0);
  CHECK(head.daemon().waits_for([&] { return head.as("bob", {"jobs"}).exit_code == 2; },
                                std::chrono::seconds(30)));
  zmq::context_t context(1);
  const auto request = encode(ControlRequest(ListJobs{}));
  // An answer is two frames; what else comes is counted as well.
  int number = 0;
  const auto frames_heard = [&](const cluster::KeyFile* key) {
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    zmq::socket_t events(context, zmq::socket_type::pair);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::reconnect_ivl, -1);
    if (key != nullptr) cluster::set_curve_client(socket, *key);
    const std::string name = "inproc://events" + std::to_string(++number);
    REQUIRE(zmq_socket_monitor(socket.handle(), name.c_str(), ZMQ_EVENT_DISCONNECTED) == 0);
    events.connect(name);
    socket.connect("tcp://" + head.address());
    zmq_send(socket.handle(), "tag", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket.handle(), request.data(), request.size(), ZMQ_DONTWAIT);
    std::vector<zmq::pollitem_t> items = {{socket.handle(), 0, ZMQ_POLLIN, 0},
                                          {events.handle(), 0, ZMQ_POLLIN, 0}};
    REQUIRE(zmq_poll(items.data(), 2, 60'000) > 0);
    int frames = 0;
    zmq::message_t frame;
    while (zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT) >= 0) ++frames;
    zmq_socket_monitor(socket.handle(), nullptr, 0);
    return frames;
  };
  CHECK(frames_heard(&*alice) == 2);
  int heard = 0;
  for (int i = 0; i < 250; ++i) {
    cluster::KeyFile foreign = *alice;
    foreign.keys = *cluster::make_curve_keys();
    heard += frames_heard(&*node) + frames_heard(&*revoked) + frames_heard(&foreign);
    heard += frames_heard(nullptr);
  }
  CHECK(heard == 0);
  CHECK(head.as("alice", {"jobs"}).exit_code == 0);
}

TEST_CASE("network users: a head that cannot listen says why, and does not start") {
  const tests::TempDir dir;
  const auto start = [&](const std::string& address, const std::string& keys) {
    const Ended ended =
        Process({.arguments = {"--home", dir.file("home"), "--server", dir.file("door"), "--listen",
                               address, "--keys", dir.file(keys)},
                 .name = "trouped"})
            .wait();
    CHECK(ended.exit_code == 2);
    CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
    return ended.error;
  };
  CHECK(start("127.0.0.1:0", "none").find("make them with: troupe keys init --keys") !=
        std::string::npos);
  REQUIRE(tests::troupe({"keys", "init", "--keys", dir.file("keys")}).exit_code == 0);
  CHECK(start("7070", "keys").find("--listen \"7070\" is no address") != std::string::npos);
  CHECK(start("192.0.2.1:0", "keys").find("cannot listen at 192.0.2.1:0: ") != std::string::npos);
  ::chmod(dir.file("keys").c_str(), 0755);
  CHECK(start("127.0.0.1:0", "keys").find("chmod 700") != std::string::npos);
}

}  // namespace
}  // namespace troupe

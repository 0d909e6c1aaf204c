// What a service manager hears of a daemon, at a socket as systemd has one.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "schemas/descriptor.h"
#include "tests/cluster/keys/key_parts.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The manager's side: `name` is a path, or @ and a name that is in no folder.
class Manager {
 public:
  explicit Manager(std::string name) : name_(std::move(name)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    REQUIRE(name_.size() < sizeof(at.sun_path));
    std::memcpy(at.sun_path, name_.data(), name_.size());
    if (name_[0] == '@') at.sun_path[0] = '\0';
    socket_ = Descriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&at),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size())) == 0);
  }

  std::vector<std::pair<std::string, std::string>> environment(int watchdog_ms) const {
    return {{"NOTIFY_SOCKET", name_}, {"WATCHDOG_USEC", std::to_string(watchdog_ms * 1000)}};
  }

  // The next word; empty: none within the time.
  std::string next(std::chrono::milliseconds patience) {
    pollfd polled{socket_.get(), POLLIN, 0};
    if (::poll(&polled, 1, static_cast<int>(patience.count())) != 1) return {};
    char text[4096];
    const ssize_t size = ::recv(socket_.get(), text, sizeof text, 0);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }

  // Waits for a word, and says whether it came.
  bool hears(const std::string& word, std::chrono::milliseconds patience = 30s) {
    for (const auto until = Clock::now() + patience; Clock::now() < until;) {
      if (next(std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now())) == word) {
        return true;
      }
    }
    return false;
  }

  void forget() {
    while (!next(0ms).empty()) {
    }
  }

 private:
  std::string name_;
  Descriptor socket_{};
};

// A process that is stopped says nothing; one that goes on does.
void check_that_it_is_watched(Manager& manager, tests::Process& daemon) {
  CHECK(manager.hears("WATCHDOG=1"));
  CHECK(manager.hears("WATCHDOG=1"));
  daemon.signal(SIGSTOP);
  const auto is_stopped = [&] {
    return tests::contents(fmt::format("/proc/{}/stat", daemon.pid())).find(") T ") !=
           std::string::npos;
  };
  REQUIRE(daemon.waits_for(is_stopped, 30s));
  manager.forget();
  CHECK_FALSE(manager.hears("WATCHDOG=1", 2s));
  daemon.signal(SIGCONT);
  CHECK(manager.hears("WATCHDOG=1"));
  daemon.signal(SIGTERM);
  CHECK(manager.hears("STOPPING=1\nSTATUS=stopping"));
  CHECK(daemon.wait().exit_code == 0);
}

TEST_CASE("service notice: a head is ready when its door answers, and lives while it does") {
  const tests::TempDir dir;
  for (const std::string& name : {dir.file("notify"), "@troupe-test-" + std::to_string(getpid())}) {
    Manager manager(name);
    const std::string door = dir.file("door");
    tests::Process daemon({.arguments = {"--home", dir.file("home"), "--server", door},
                           .environment = manager.environment(400),
                           .name = "trouped"});
    CHECK(manager.next(30s) == "STATUS=serves " + door);
    CHECK(manager.next(30s) == "READY=1");
    CHECK(tests::troupe({"jobs", "--server", door}).exit_code == 0);
    check_that_it_is_watched(manager, daemon);
  }
}

TEST_CASE("service notice: a node is ready when it dials, and says whether its head is there") {
  tests::HeadKeys keys;
  keys.add_node("b");
  const tests::TempDir dir;
  Manager manager(dir.file("notify"));
  // Nobody listens there.
  tests::Process node({.arguments = {"--join", "127.0.0.1:1", "--key", keys.key_path("b"), "--home",
                                     dir.file("node"), "--slots", "1"},
                       .environment = manager.environment(400),
                       .name = "trouped"});
  CHECK(manager.next(30s) == "STATUS=dials 127.0.0.1:1");
  CHECK(manager.next(30s) == "READY=1");
  // A node has no door; who has no socket for it either looks at its home.
  const auto alive = [&] { return tests::troupe({"alive", dir.file("node")}); };
  CHECK(alive().exit_code == 0);
  CHECK(alive().out.rfind("dials 127.0.0.1:1, ", 0) == 0);
  check_that_it_is_watched(manager, node);
  std::filesystem::last_write_time(dir.file("node/alive"),
                                   std::filesystem::file_time_type::clock::now() - 1min);
  CHECK(alive().exit_code == 1);
  CHECK(alive().error.find("what it said last: dials 127.0.0.1:1, 60 s ago") != std::string::npos);
  CHECK(tests::troupe({"alive", dir.file("nowhere")}).exit_code == 2);
}

TEST_CASE("service notice: nothing is told where no manager is, or its name is none") {
  const tests::TempDir dir;
  for (const std::string name : {"", "/", "relative", "/nowhere/at/all"}) {
    tests::Process daemon({.arguments = {"--home", dir.file("home"), "--server", dir.file("door")},
                           .environment = {{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", "x"}},
                           .name = "trouped"});
    REQUIRE(daemon.says("serving"));
    CHECK(tests::troupe({"jobs", "--server", dir.file("door")}).exit_code == 0);
    daemon.signal(SIGTERM);
    CHECK(daemon.wait().exit_code == 0);
  }
}

}  // namespace
}  // namespace troupe::cluster

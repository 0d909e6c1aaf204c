// NCCL's part in a team: how it is found, how it fails, and who is told.
#include "kernels/collective/nccl_communicator.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "schemas/descriptor.h"
#include "tests/kernels/collective/team_fixture.h"

namespace troupe::kernels::collective {
namespace {

using namespace tests;  // NOLINT: the fixture is this file's language.

constexpr size_t kBytes = 1'000;

// What each rank's call returned, by rank.
std::vector<Status> gathered(const TestTeam& team, Deadline deadline,
                             const std::function<size_t(int)>& bytes_of) {
  std::vector<Status> all(static_cast<size_t>(team.num_ranks()), ok());
  team.run([&](Communicator& at) {
    std::vector<std::vector<std::byte>> to;
    std::vector<Part> parts;
    for (int rank = 0; rank < at.size(); ++rank) to.emplace_back(bytes_of(at.rank()));
    for (auto& one : to) parts.push_back(part_of(one));
    all[static_cast<size_t>(at.rank())] =
        at.all_gather(nullptr, parts[static_cast<size_t>(at.rank())], parts, deadline);
  });
  return all;
}

bool all_say(const std::vector<Status>& all, const std::vector<std::string>& words) {
  return std::all_of(all.begin(), all.end(), [&](const Status& one) {
    const bool is_right = !one && std::all_of(words.begin(), words.end(), [&](const auto& word) {
      return one.error().message.find(word) != std::string::npos;
    });
    if (!is_right) MESSAGE("instead: " << (one ? "ok" : one.error().message));
    return is_right && one.error().code == ErrorCode::kUnavailable;
  });
}

TEST_CASE("nccl: the library is opened where there is one") {
  const auto none = NcclLibrary::open("libno-such-library.so.2");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::kUnavailable);
  CHECK(none.error().message.find("is not installed") != std::string::npos);
  const auto other = NcclLibrary::open("libm.so.6");
  REQUIRE_FALSE(other);
  CHECK(other.error().message.find("older than NCCL 2.19") != std::string::npos);
  const auto ours = NcclLibrary::open(TROUPE_GPU_HOST_NCCL);
  REQUIRE(ours);
  CHECK((*ours)->version() == "2.28.9");
  // Where the real one is installed, it has all that is used.
  const auto real = NcclLibrary::open();
  CHECK((real || real.error().message.find("is not installed") != std::string::npos));
}

TEST_CASE("nccl: whoever cannot begin, meet or go on says so, and all are told") {
  struct Case {
    int fault = 0;
    std::vector<std::string> words{};
  };
  const std::vector<Case> cases = {
      {1, {"rank 1: NCCL does not begin: unhandled system error: connection refused by 10.0.0.7"}},
      {2, {"waited in vain for NCCL's ranks to meet", "rank 0 is in all_gather number 1"}},
      {3, {"waited in vain for the others in all_gather", "rank 2 is in all_gather number 1"}},
      {4, {"rank 1: NCCL refuses: invalid usage"}},
      {5, {"rank 1: remote process exited or there was a network error"}},
  };
  for (const Case& one : cases) {
    CAPTURE(one.fault);
    TestTeam team(Transport::kNccl, 3);
    let_nccl_fail(one.fault, 1);
    const auto begun = std::chrono::steady_clock::now();
    const bool is_silent = one.fault == 2 || one.fault == 3;
    const auto all =
        gathered(team, is_silent ? after(milliseconds(500)) : soon(), [](int) { return kBytes; });
    CHECK(all_say(all, one.words));
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
    // The team is at its end on every rank.
    CHECK(all_say(gathered(team, soon(), [](int) { return kBytes; }), {one.words.front()}));
  }
}

TEST_CASE("nccl: ranks that disagree do not wait for ever, and each says what it had called") {
  TestTeam team(Transport::kNccl, 2);
  const auto all = gathered(team, after(milliseconds(300)),
                            [](int rank) { return kBytes + static_cast<size_t>(rank); });
  CHECK(all_say(all, {"though all answer", "rank 0 is in all_gather", "rank 1 is in all_gather"}));
}

TEST_CASE("nccl: a rank that does not come is named, and so is one that aborts") {
  SUBCASE("it does not come") {
    TestTeam team(Transport::kNccl, 3);
    std::vector<Status> all(3, ok());
    team.run([&](Communicator& at) {
      if (at.rank() == 2) return;
      std::vector<std::byte> bytes(kBytes);
      all[static_cast<size_t>(at.rank())] =
          at.broadcast(nullptr, 0, part_of(bytes), after(milliseconds(300)));
    });
    all.pop_back();
    CHECK(all_say(all, {"rank 2"}));
  }
  SUBCASE("it is aborted while the others move bytes") {
    TestTeam team(Transport::kNccl, 2);
    REQUIRE(gathered(team, soon(), [](int) { return kBytes; })[0]);
    std::vector<std::byte> bytes(kBytes, std::byte{1});
    Status waited = ok();
    std::thread waits([&] {
      waited = team.at(0)->broadcast(nullptr, 1, part_of(bytes), soon());
      // Nobody writes there any more.
      std::fill(bytes.begin(), bytes.end(), std::byte{7});
    });
    CHECK(eventually([&] { return team.at(0)->progress().under_way == Collective::kBroadcast; }));
    team.at(1)->abort();
    waits.join();
    CHECK(all_say({waited}, {"rank 1 was aborted"}));
    CHECK(std::count(bytes.begin(), bytes.end(), std::byte{7}) == kBytes);
  }
}

TEST_CASE("nccl: the interface with an address is named unless the user has named one") {
  ::unsetenv("NCCL_SOCKET_IFNAME");
  use_interface_of("192.0.2.77");
  CHECK(std::getenv("NCCL_SOCKET_IFNAME") == nullptr);
  use_interface_of("127.0.0.1");
  CHECK(std::string(std::getenv("NCCL_SOCKET_IFNAME")) == "=lo");
  ::setenv("NCCL_SOCKET_IFNAME", "eth7", 1);
  use_interface_of("127.0.0.1");
  CHECK(std::string(std::getenv("NCCL_SOCKET_IFNAME")) == "eth7");
  ::unsetenv("NCCL_SOCKET_IFNAME");
}

TEST_CASE("nccl: the report of its watcher is read, bounded and printable") {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(place);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&place), size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&place), &size) == 0);
  const int port = ntohs(place.sin_port);
  std::string question;
  std::thread watcher([&] {
    const Descriptor client(::accept(listener.get(), nullptr, nullptr));
    char bytes[64];
    const ssize_t n = ::recv(client.get(), bytes, sizeof(bytes), 0);
    question.assign(bytes, n < 0 ? 0 : static_cast<size_t>(n));
    const std::string answer = "Job summary\x1b[31m\n" + std::string(10'000, 'x');
    ::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  });
  const std::string report = nccl_report(port);
  watcher.join();
  CHECK(question == "status\n");
  CHECK(report.rfind("Job summary?[31m\nxxx", 0) == 0);
  CHECK(report.size() == 4'096);
  CHECK(nccl_report(1).empty());
}

}  // namespace
}  // namespace troupe::kernels::collective

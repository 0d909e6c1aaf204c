// Ranks that are processes and are killed or frozen in the middle of an operation: the others name
// them in time.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "tests/kernels/collective/team_fixture.h"
#include "tests/support/pipe_lines.h"

namespace troupe::kernels::collective {
namespace {

using namespace tests;  // NOLINT: the fixture is this file's language.

// Silence is long enough for a machine that does much else.
constexpr milliseconds kHeartbeat(200), kSilenceMax(4'000);

// The life of a rank: says where it is, joins, says so, and gathers until an error ends it.
[[noreturn]] void live(const ZmqSeat& seat, const std::string& address, const Wires& wires) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // Also when it is frozen.
  auto mesh = ZmqMesh::open(
      {.seat = seat, .address = address, .heartbeat = kHeartbeat, .silence_max = kSilenceMax});
  if (!mesh) ::_exit(10);
  write_line(wires.from[1], (*mesh)->endpoint());
  std::vector<std::string> endpoints;
  for (int rank = 0; rank < seat.num_ranks(); ++rank) endpoints.push_back(read_line(wires.to[0]));
  if (!(*mesh)->join(endpoints, soon())) ::_exit(11);
  const auto at = communicator(*mesh, 0);
  std::vector<std::vector<std::byte>> bytes(static_cast<size_t>(at->size()),
                                            std::vector<std::byte>(1 << 20));
  std::vector<Part> parts;
  for (auto& part : bytes) parts.push_back(part_of(part));
  for (int turn = 0;; ++turn) {
    // A deadline that is far away: the loss has to be noticed.
    const Status status =
        at->all_gather(nullptr, parts[static_cast<size_t>(at->rank())], parts, soon());
    if (turn == 5) write_line(wires.from[1], "at work");
    if (status) continue;
    write_line(wires.from[1], std::to_string(static_cast<int>(status.error().code)) + " " +
                                  status.error().message);
    // Until all have said so: the end of this process is news, too.
    read_line(wires.to[0]);
    ::_exit(0);
  }
}

void lose_rank(Transport transport, int lost, int signal) {
  constexpr int kRanks = 4;
  CAPTURE(name_of(transport));
  CAPTURE(lost);
  CAPTURE(signal);
  const TempDir dir;
  const auto seats = seats_of(kRanks);
  std::vector<Wires> wires(kRanks);
  std::vector<pid_t> processes;
  for (size_t rank = 0; rank < kRanks; ++rank) {
    wires[rank].open();
    const pid_t process = ::fork();
    REQUIRE(process >= 0);
    if (process == 0) live(seats[rank], address_of(transport, dir), wires[rank]);
    processes.push_back(process);
  }
  std::string endpoints;
  for (const Wires& wire : wires) endpoints += read_line(wire.from[0]) + "\n";
  endpoints.pop_back();
  for (const Wires& wire : wires) write_line(wire.to[1], endpoints);
  for (const Wires& wire : wires) CHECK(read_line(wire.from[0]) == "at work");

  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(::kill(processes[static_cast<size_t>(lost)], signal) == 0);
  for (int rank = 0; rank < kRanks; ++rank) {
    if (rank == lost) continue;
    const std::string line = read_line(wires[static_cast<size_t>(rank)].from[0]);
    CAPTURE(line);
    CHECK(line.rfind(std::to_string(static_cast<int>(ErrorCode::kUnavailable)) + " ", 0) == 0);
    CHECK(line.find("rank " + std::to_string(lost) + " is gone") != std::string::npos);
    // Not after the time that a frozen one is given.
    CHECK(line.find(signal == SIGKILL ? "its connection has ended" : "has heard nothing of it") !=
          std::string::npos);
  }
  const auto seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  MESSAGE(name_of(transport) << ", signal " << signal << ", rank " << lost << ": all knew after "
                             << seconds << " s");
  for (int rank = 0; rank < kRanks; ++rank) {
    if (rank == lost) ::kill(processes[static_cast<size_t>(rank)], SIGKILL);
    if (rank != lost) write_line(wires[static_cast<size_t>(rank)].to[1], "end");
    int status = 0;
    REQUIRE(::waitpid(processes[static_cast<size_t>(rank)], &status, 0) > 0);
    if (rank != lost) CHECK(WEXITSTATUS(status) == 0);
  }
  for (const Wires& wire : wires) wire.close();
}

TEST_CASE("rank_loss: a rank that is killed is named at once") {
  for (const Transport transport : {Transport::kIpc, Transport::kTcp}) {
    for (const int rank : {0, 1, 3}) lose_rank(transport, rank, SIGKILL);
  }
}

TEST_CASE("rank_loss: a rank that is frozen is named when it has been silent for too long") {
  for (const Transport transport : {Transport::kIpc, Transport::kTcp}) {
    for (const int rank : {0, 2, 3}) lose_rank(transport, rank, SIGSTOP);
  }
}

}  // namespace
}  // namespace troupe::kernels::collective

// Learners of several ranks as processes over ZeroMQ: one is killed or frozen at any moment of a
// step, the others name it, and a new team of another size goes on from the shards to the
// undisturbed weights.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "model/training/learner.h"
#include "tests/kernels/collective/team_fixture.h"
#include "tests/support/learn_batch.h"
#include "tests/support/pipe_lines.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

using std::chrono::milliseconds;
using tests::read_line;
using tests::write_line;

constexpr int64_t kLanes = 4;
constexpr int kSteps = 40, kSavedStep = 3;  // Shards are written before it.

struct Policy {
  explicit Policy(Seat seat)
      : config(tests::tiny_config()),
        layout(config),
        learner(*kernels::cpu_backends().front(), config, layout, threads,
                tests::lively_parameters(config, layout, 5),
                {.microbatch_tokens = 64,
                 .context_max = 64,
                 .gradient_lanes = kLanes,
                 .has_reference = true,
                 .seat = seat}) {}
  Result<StepResult> step(int number) {
    return learner.step(tests::random_batch(static_cast<uint64_t>(number), 30).view(),
                        number % 2 == 0 ? tests::sft_options() : tests::grpo_options());
  }

  const TransformerConfig config;
  const ParameterLayout layout;
  Threads threads{1};
  Learner learner;
};

template <class T>
void write_all(std::ostream& to, const std::vector<T>& values) {
  to.write(reinterpret_cast<const char*>(values.data()),
           static_cast<std::streamsize>(values.size() * sizeof(T)));
}
template <class T>
void read_all(std::istream& from, std::vector<T>& values) {
  from.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
}

std::string shard_file(const std::string& folder, int rank) {
  return folder + "/shard_" + std::to_string(rank);
}
void write_shard(const std::string& folder, int rank, const Learner& learner) {
  const LearnerState state = learner.state();
  std::ofstream file(shard_file(folder, rank), std::ios::binary);
  for (const auto* values : {&state.masters, &state.m, &state.v, &state.reference}) {
    write_all(file, *values);
  }
  write_all(file, std::vector<double>{state.beta1_power, state.beta2_power});
}
// This learner's part of what a team of `ranks` has written.
LearnerState read_shards(const std::string& folder, int ranks, const Policy& policy) {
  LearnerState all;
  const ShardMap shards(policy.layout, ranks);
  all.reference.resize(static_cast<size_t>(policy.layout.num_floats()));
  for (int rank = 0; rank < ranks; ++rank) {
    std::ifstream file(shard_file(folder, rank), std::ios::binary);
    std::vector<float> part(static_cast<size_t>(shards.range_of(rank).count()));
    for (auto* values : {&all.masters, &all.m, &all.v}) {
      read_all(file, part);
      values->insert(values->end(), part.begin(), part.end());
    }
    read_all(file, all.reference);
    std::vector<double> powers(2);
    read_all(file, powers);
    TROUPE_CHECK(static_cast<bool>(file));
    all.beta1_power = powers[0];
    all.beta2_power = powers[1];
  }
  const FloatRange own = policy.learner.shard();
  for (auto* values : {&all.masters, &all.m, &all.v}) {
    *values = std::vector<float>(values->begin() + own.begin, values->begin() + own.end);
  }
  return all;
}

// A team of processes. `from` is the size of the team whose shards it goes on from, 0 for none.
class Team {
 public:
  Team(const std::string& folder, int ranks, int from, uint64_t epoch) {
    const auto seats = tests::seats_of(ranks, epoch);
    const std::string address = "ipc://" + folder + "/mesh";
    for (int rank = 0; rank < ranks; ++rank) {
      Process& one = processes_.emplace_back();
      one.wires.open();
      one.pid = ::fork();
      REQUIRE(one.pid >= 0);
      if (one.pid == 0) live(folder, address, seats[static_cast<size_t>(rank)], from, one.wires);
    }
    std::string endpoints;
    for (const Process& one : processes_) endpoints += read_line(one.wires.from[0]) + "\n";
    endpoints.pop_back();
    for (const Process& one : processes_) write_line(one.wires.to[1], endpoints);
  }
  ~Team() {
    for (const Process& one : processes_) {
      ::kill(one.pid, SIGKILL);
      ::waitpid(one.pid, nullptr, 0);
      one.wires.close();
    }
  }
  std::string hears(int rank) {
    return read_line(processes_[static_cast<size_t>(rank)].wires.from[0]);
  }
  void send(int rank, int signal) {
    REQUIRE(::kill(processes_[static_cast<size_t>(rank)].pid, signal) == 0);
  }

 private:
  struct Process {
    tests::Wires wires{};
    pid_t pid = -1;
  };

  [[noreturn]] static void live(const std::string& folder, const std::string& address,
                                const kernels::collective::ZmqSeat& seat, int from,
                                const tests::Wires& wires) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto mesh = kernels::collective::ZmqMesh::open({.seat = seat,
                                                    .address = address,
                                                    .heartbeat = milliseconds(200),
                                                    .silence_max = milliseconds(3'000)});
    TROUPE_CHECK(mesh);
    write_line(wires.from[1], (*mesh)->endpoint());
    std::vector<std::string> endpoints;
    for (int rank = 0; rank < seat.num_ranks(); ++rank) endpoints.push_back(read_line(wires.to[0]));
    TROUPE_CHECK((*mesh)->join(endpoints, tests::soon()));
    const auto communicator = kernels::collective::communicator(*mesh, 0);
    Policy policy({.communicator = communicator.get()});
    if (from > 0) {
      TROUPE_CHECK(policy.learner.set_state(read_shards(folder, from, policy)));
    }
    for (int step = from > 0 ? kSavedStep : 0; step < kSteps; ++step) {
      if (from == 0 && step == kSavedStep) {
        write_shard(folder, seat.rank, policy.learner);
        write_line(wires.from[1], "saved");
      }
      const auto result = policy.step(step);
      if (result) continue;
      write_line(wires.from[1], result.error().message);
      read_line(wires.to[0]);  // Its end would be news.
      ::_exit(0);
    }
    write_line(wires.from[1], tests::digest(policy.learner.published()));
    read_line(wires.to[0]);
    ::_exit(0);
  }

  std::vector<Process> processes_{};
};

TEST_CASE("team processes: a rank is lost at any moment, and another team ends with the same") {
  Policy alone({});
  for (int step = 0; step < kSteps; ++step) REQUIRE(alone.step(step));
  const std::string want = tests::digest(alone.learner.published());
  kernels::RandomStream random(77, kernels::StreamId::kMakeData);
  int num_named = 0;
  for (int round = 0; round < 12; ++round) {
    const tests::TempDir dir;
    const int ranks = round % 2 == 0 ? 4 : 2;
    const auto lost = static_cast<int>(random.below(static_cast<uint64_t>(ranks)));
    const int signal = round % 4 == 3 ? SIGSTOP : SIGKILL;
    CAPTURE(round);
    CAPTURE(lost);
    {
      Team team(dir.file(""), ranks, 0, 1);
      for (int rank = 0; rank < ranks; ++rank) REQUIRE(team.hears(rank) == "saved");
      ::poll(nullptr, 0, static_cast<int>(random.below(40)));
      team.send(lost, signal);
      for (int rank = 0; rank < ranks; ++rank) {
        if (rank == lost) continue;
        const std::string line = team.hears(rank);
        if (line == want) continue;  // All was done by then.
        ++num_named;
        CHECK_MESSAGE(line.find("rank " + std::to_string(lost) + " is gone") != std::string::npos,
                      line);
      }
    }
    const int next = std::array{1, 2, 4}[static_cast<size_t>(round) % 3];
    Team team(dir.file(""), next, ranks, 2);
    for (int rank = 0; rank < next; ++rank) CHECK(team.hears(rank) == want);
  }
  MESSAGE("the loss was met " << num_named << " times");
  CHECK(num_named > 5);
}

}  // namespace
}  // namespace troupe::model

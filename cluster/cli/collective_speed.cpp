#include "cluster/cli/collective_speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "cluster/cli/bench_folder.h"
#include "kernels/collective/loopback.h"
#include "kernels/collective/mesh.h"
#include "kernels/collective/zmq_mesh.h"

namespace troupe::cluster {
namespace {

using kernels::Communicator;
using kernels::Part;
using kernels::collective::Mesh;
using kernels::collective::ZmqMesh;
using kernels::collective::ZmqSeat;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr int64_t kTurnsMin = 3, kTurnsMax = 2'000;
constexpr int64_t kLargeBytes = 4 << 20;

double seconds_since(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

// Runs body(rank) on a thread of each rank; the first error that one returns.
Status on_all(int num_ranks, const std::function<Status(int rank)>& body) {
  std::vector<Status> all(static_cast<size_t>(num_ranks), ok());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank) {
    threads.emplace_back([&all, &body, rank] { all[static_cast<size_t>(rank)] = body(rank); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : all) {
    if (!status) return status;
  }
  return ok();
}

Result<std::vector<std::shared_ptr<Mesh>>> form_team(const CollectiveCase& of,
                                                     const std::string& folder) {
  if (of.transport == "loopback") return kernels::collective::loopback_team(of.num_ranks, 1);
  auto seats = kernels::collective::make_seats(of.num_ranks, /*epoch=*/1);
  if (!seats) return seats.error();
  std::vector<std::shared_ptr<ZmqMesh>> opened;
  std::vector<std::string> endpoints;
  for (const ZmqSeat& seat : *seats) {
    auto mesh = ZmqMesh::open(
        {.seat = seat,
         .address = of.transport == "ipc" ? "ipc://" + folder + "/mesh" : "tcp://127.0.0.1"});
    if (!mesh) return mesh.error();
    endpoints.push_back((*mesh)->endpoint());
    opened.push_back(std::move(*mesh));
  }
  const Status joined = on_all(of.num_ranks, [&](int rank) {
    return opened[static_cast<size_t>(rank)]->join(endpoints, Clock::now() + kPatience);
  });
  if (!joined) return joined.error();
  return std::vector<std::shared_ptr<Mesh>>(opened.begin(), opened.end());
}

// One rank's operands, and its operations.
class Rank {
 public:
  Rank(std::shared_ptr<Mesh> mesh, int64_t bytes)
      : team_(kernels::collective::communicator(std::move(mesh), 0)) {
    const auto others = static_cast<int64_t>(team_->size() - 1);
    from_.assign(static_cast<size_t>(bytes), std::byte{1});
    to_.assign(static_cast<size_t>(bytes), std::byte{2});
    int64_t offset = 0;
    for (int other = 0; other < team_->size(); ++other) {
      const int64_t size = other == team_->rank() ? 0 : bytes / others;
      from_parts_.push_back({reinterpret_cast<uint64_t>(from_.data() + offset), size});
      to_parts_.push_back({reinterpret_cast<uint64_t>(to_.data() + offset), size});
      offset += size;
    }
  }

  Status all_to_all() {
    return team_->all_to_all(nullptr, from_parts_, to_parts_, Clock::now() + kPatience);
  }

  // As rank 0 says.
  Result<int64_t> agree(int64_t turns) {
    const Part part{reinterpret_cast<uint64_t>(&turns), sizeof(turns)};
    if (auto sent = team_->broadcast(nullptr, 0, part, Clock::now() + kPatience); !sent) {
      return sent.error();
    }
    return turns;
  }

 private:
  std::unique_ptr<Communicator> team_;
  std::vector<std::byte> from_{}, to_{};
  std::vector<Part> from_parts_{}, to_parts_{};
};

}  // namespace

Result<std::vector<double>> measure_all_to_all(const CollectiveCase& of, double seconds_max) {
  // For the sockets of ranks on one host.
  const auto folder = BenchFolder::make();
  if (!folder) return folder.error();
  auto team = form_team(of, (*folder)->path());
  if (!team) return team.error();
  std::vector<double> seconds;
  const Status measured = on_all(of.num_ranks, [&](int number) -> Status {
    Rank rank((*team)[static_cast<size_t>(number)], of.bytes);
    // The best of them says how many there is time for: one may have been disturbed.
    const int num_warm_ups = of.bytes > kLargeBytes ? 2 : 10;
    double once = seconds_max;
    for (int warm_up = 0; warm_up < num_warm_ups; ++warm_up) {
      const auto start = Clock::now();
      if (auto moved = rank.all_to_all(); !moved) return moved;
      once = std::min(once, seconds_since(start));
    }
    const auto wanted = static_cast<int64_t>(seconds_max / std::max(once, 1e-6));
    const auto turns = rank.agree(std::clamp(wanted, kTurnsMin, kTurnsMax));
    if (!turns) return turns.error();
    for (int64_t turn = 0; turn < *turns; ++turn) {
      const auto start = Clock::now();
      if (auto moved = rank.all_to_all(); !moved) return moved;
      if (number == 0) seconds.push_back(seconds_since(start));
    }
    return ok();
  });
  if (!measured) return measured.error();
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

}  // namespace troupe::cluster

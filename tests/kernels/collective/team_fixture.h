// Teams whose ranks are threads of this test, over every transport.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/collective/loopback.h"
#include "kernels/collective/mesh.h"
#include "kernels/collective/nccl_communicator.h"
#include "kernels/collective/zmq_mesh.h"
#include "schemas/check.h"
#include "tests/support/gpu_host/host_streams.h"
#include "tests/support/temp_dir.h"

namespace troupe::tests {

using kernels::Collective;
using kernels::Communicator;
using kernels::Deadline;
using kernels::Part;
using kernels::Progress;
using kernels::collective::Mesh;
using kernels::collective::ZmqMesh;
using kernels::collective::ZmqSeat;
using std::chrono::milliseconds;

inline Deadline after(milliseconds time) { return std::chrono::steady_clock::now() + time; }
// Long enough for a machine that does much else; no good run waits for it.
inline Deadline soon() { return after(milliseconds(60'000)); }

inline bool eventually(const std::function<bool()>& holds) {
  const Deadline deadline = soon();
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::poll(nullptr, 0, 1);  // Lets others run.
  }
  return true;
}

inline Part part_of(std::vector<std::byte>& bytes) {
  return {reinterpret_cast<uint64_t>(bytes.data()), static_cast<int64_t>(bytes.size())};
}

// Bytes that tell where they come from and where they go to.
inline std::vector<std::byte> bytes_between(int from, int to, size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) {
    const size_t value = i * 31 + i / 251 + static_cast<size_t>(from * 7 + to * 13);
    bytes[i] = static_cast<std::byte>(value);
  }
  return bytes;
}

// So that a failure says why.
inline bool good(const Status& status) {
  if (!status) MESSAGE("failed: " << status.error().message);
  return static_cast<bool>(status);
}

enum class Transport { kLoopback, kIpc, kTcp, kNccl };

inline std::string name_of(Transport transport) {
  switch (transport) {
    case Transport::kLoopback:
      return "loopback";
    case Transport::kIpc:
      return "ipc";
    case Transport::kTcp:
      return "tcp";
    case Transport::kNccl:
      return "nccl";
  }
  return "";
}

inline std::vector<ZmqSeat> seats_of(int num_ranks, uint64_t epoch = 1) {
  auto seats = kernels::collective::make_seats(num_ranks, epoch);
  TROUPE_CHECK(seats);
  return std::move(*seats);
}

inline std::string address_of(Transport transport, const TempDir& dir) {
  return transport == Transport::kIpc ? "ipc://" + dir.file("mesh") : "tcp://127.0.0.1";
}

inline std::shared_ptr<ZmqMesh> open_mesh(ZmqMesh::Options options) {
  auto mesh = ZmqMesh::open(std::move(options));
  TROUPE_CHECK(mesh);
  return *mesh;
}

class TestTeam {
 public:
  TestTeam(Transport transport, int num_ranks, int num_channels = 1) : num_channels_(num_channels) {
    if (transport == Transport::kLoopback || transport == Transport::kNccl) {
      meshes_ = kernels::collective::loopback_team(num_ranks, num_channels);
      if (transport == Transport::kNccl) make_nccl();
      return;
    }
    std::vector<std::shared_ptr<ZmqMesh>> opened;
    std::vector<std::string> endpoints;
    for (const ZmqSeat& seat : seats_of(num_ranks)) {
      opened.push_back(open_mesh(
          {.seat = seat, .address = address_of(transport, dir_), .num_channels = num_channels}));
      endpoints.push_back(opened.back()->endpoint());
    }
    std::vector<std::thread> threads;
    for (const auto& mesh : opened) {
      threads.emplace_back([&mesh, &endpoints] { CHECK(good(mesh->join(endpoints, soon()))); });
    }
    for (std::thread& thread : threads) thread.join();
    meshes_.assign(opened.begin(), opened.end());
  }

  int num_ranks() const { return static_cast<int>(meshes_.size()); }
  int num_channels() const { return num_channels_; }
  std::unique_ptr<Communicator> at(int rank, int channel = 0) const {
    const auto place = static_cast<size_t>(rank);
    if (!nccl_.empty()) return kernels::collective::communicator(nccl_[place], channel);
    return kernels::collective::communicator(meshes_[place], channel);
  }
  Mesh& mesh(int rank) const { return *meshes_[static_cast<size_t>(rank)]; }
  // The rank ends in good order, when nobody holds a communicator of it.
  void leave(int rank) {
    if (!nccl_.empty()) nccl_[static_cast<size_t>(rank)].reset();
    meshes_[static_cast<size_t>(rank)].reset();
  }

  // Each rank on a thread of its own.
  void run(const std::function<void(Communicator&)>& body) const {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < num_ranks(); ++rank) {
      threads.emplace_back([this, rank, &body] { body(*at(rank)); });
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  void make_nccl() {
    const auto library = kernels::collective::NcclLibrary::open(TROUPE_GPU_HOST_NCCL);
    TROUPE_CHECK(library);
    for (const auto& mesh : meshes_) {
      nccl_.push_back(std::make_shared<kernels::collective::NcclTeam>(
          *library, std::make_shared<HostStreams>(), mesh));
    }
  }

  const TempDir dir_{};
  const int num_channels_;
  std::vector<std::shared_ptr<Mesh>> meshes_{};
  std::vector<std::shared_ptr<kernels::collective::NcclTeam>> nccl_{};
};

inline constexpr Transport kTransports[] = {Transport::kLoopback, Transport::kIpc, Transport::kTcp};
inline constexpr Transport kAllTransports[] = {Transport::kLoopback, Transport::kIpc,
                                               Transport::kTcp, Transport::kNccl};

inline void for_each_team(const std::vector<int>& sizes, int num_channels,
                          const std::function<void(TestTeam&)>& test,
                          std::span<const Transport> transports = kTransports) {
  for (const Transport transport : transports) {
    for (const int num_ranks : sizes) {
      CAPTURE(name_of(transport));
      CAPTURE(num_ranks);
      TestTeam team(transport, num_ranks, num_channels);
      test(team);
    }
  }
}

}  // namespace troupe::tests

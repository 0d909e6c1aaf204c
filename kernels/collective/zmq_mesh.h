// Ranks that are processes, on one host or several, over ZeroMQ.
//
//   open ──▶ endpoint, which the caller takes to all ranks ──▶ join ──▶ communicator(mesh, channel)
//
// One thread per mesh owns the sockets and moves all bytes; callers wait for it. A rank whose
// process has ended is noticed at once, one that is frozen after `silence_max`.
// Who waits longer than that for a rank that lives (it computes, or hangs) has its deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/collective/mesh.h"
#include "kernels/collective/zmq_keys.h"

namespace troupe::kernels::collective {

class ZmqMesh final : public Mesh {
 public:
  struct Options {
    ZmqSeat seat{};
    // "ipc:///a/folder": a socket in it, for ranks of one host; the folder is made, mode 0700.
    // "tcp://10.0.0.1", "tcp://[fd00::1]": any free port of that address, always with CURVE; "*" is
    // refused.
    std::string address{};
    int num_channels = 1;    // The same on all ranks.
    int num_io_threads = 1;  // Of libzmq, which do the encryption.
    std::chrono::milliseconds heartbeat{1'000};
    std::chrono::milliseconds silence_max{10'000};
  };

  // kInvalidArgument for a seat or an address that will not do.
  static Result<std::shared_ptr<ZmqMesh>> open(Options options);

  // Says farewell when the team has not ended, so that the others know that nothing is missing.
  ~ZmqMesh() override;

  // For the other ranks' join.
  const std::string& endpoint() const;

  // Once, with the endpoints of all ranks by rank: returns when each has been heard.
  Status join(std::vector<std::string> endpoints, Deadline deadline);

  int rank() const override;
  int size() const override;
  int num_channels() const override;
  Status run(int channel, const Transfer& transfer) override;
  void give_up(const Error& reason) override;
  std::optional<Error> ended() const override;
  Progress progress(int channel) const override;

  struct Counts {
    uint64_t admitted = 0;  // Connections that were let in.
    uint64_t refused = 0;   // Connections of strangers and of older epochs.
    uint64_t frames = 0;    // That were taken from anybody.
  };
  Counts counts() const;

 private:
  class Impl;
  explicit ZmqMesh(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::kernels::collective

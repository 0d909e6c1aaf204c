// The other side of the front door: asks the daemon and follows a job's feed. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cluster/gateway/host_port.h"
#include "cluster/keys/keys_folder.h"
#include "schemas/control.h"
#include "schemas/result.h"

namespace troupe::cluster {

class FrontDoorClient {
 public:
  struct Network {
    HostPort address{};
    KeyFile key{};
    std::string key_path{};  // Where it came from, for people.
  };
  struct Options {
    std::string folder{};
    std::optional<Network> network{};            // Instead of the folder.
    std::chrono::milliseconds deadline{10'000};  // Of each ask, and of connecting.
  };

  // kInvalidArgument for a folder that can have no sockets, a host that nobody knows and a key that
  // the daemon refuses; kInternal when no daemon listens there, at once or, over the network, at
  // the deadline.
  static Result<std::unique_ptr<FrontDoorClient>> connect(Options options);
  ~FrontDoorClient();

  // Who serves, as of the last connection; of a folder, the local operator.
  const ServerFacts& server() const;

  // The daemon's reply; its refusal is an error too. kUnknownOutcome when no answer came in time or
  // the connection broke: the request may have been done. A connection that breaks is made again
  // once, within the deadline, and the same request is sent again when it is a submit, which its
  // request id makes one job, or only reads.
  Result<ControlReply> ask(const ControlRequest& request);

  // Events of this job only, from now on. What was published before the daemon heard of it is in
  // the history.
  Status subscribe(uint64_t job);
  // The next event; nothing when none comes within `timeout`; kCorruption for what is no event.
  Result<std::optional<RunEvent>> next_event(std::chrono::milliseconds timeout);

 private:
  class Impl;
  explicit FrontDoorClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::cluster

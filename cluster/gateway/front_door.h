// The daemon's front door: users' requests come in, answers and the feed of events go out, over
// sockets in a folder that belongs to the daemon's user alone, who is the operator there.
//
//   client DEALER ──[tag][request]──▶ ROUTER FOLDER/control.sock ──▶ ServeControl
//                 ◀──[tag][reply]───                             ◀── answer, from any thread
//   client SUB    ◀──[topic][event]── PUB    FOLDER/feed.sock    ◀── publish, from any thread
//
// And over the network, for those whose key the head knows, through one port. What comes there is
// of the user whose key the connection has shown, whatever it says. Who asks to follow a job gets
// the events of it that are theirs to see, on that connection, for kFollowSeconds:
//
//   client DEALER ──[tag][request]───────▶ ROUTER tcp, CURVE
//                 ◀──[tag][reply]─────────
//                 ◀──[][topic][event]─────
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/gateway/admission.h"
#include "cluster/gateway/followers.h"
#include "cluster/gateway/host_port.h"
#include "cluster/keys/key_ring.h"
#include "schemas/control.h"
#include "schemas/result.h"

namespace troupe::cluster {

inline constexpr size_t kDoorTagBytesMax = 16;  // Of what a client calls its request.
inline constexpr size_t kFeedTopicBytesMax = 64;
std::string control_socket(const std::string& folder);
std::string feed_socket(const std::string& folder);

// kInvalidArgument when a socket's path in `folder` is longer than the system takes.
Status check_socket_paths(const std::string& folder);

// Called on the door's thread, so it must return quickly; `answer` may be called from any thread,
// also after the door is gone, and counts once. An answer fits into kControlBytesMax. The door
// itself answers ShowServer and FollowJob.
using ServeControl = std::function<void(ControlRequest request, const Asker& asker,
                                        std::function<void(ControlReply)> answer)>;

class FrontDoor {
 public:
  struct Network {
    HostPort address{};  // Port 0: one is chosen.
    std::shared_ptr<KeyRing> keys{};
    size_t connections_max = 1'024;
    Followers::Limits followers{.lease = std::chrono::seconds(kFollowSeconds)};
  };

  struct Options {
    std::string folder{};  // Made when it is not there, mode 0700.
    std::optional<Network> network{};
    Admission::Limits limits{};    // A client is a connection, and over the network a user.
    size_t connections_max = 256;  // Of each socket; at more, all of them have to connect again.
    std::chrono::milliseconds answer_deadline{30'000};  // Then the reply is kUnknownOutcome.
    size_t events_waiting_max = 4'096;                  // To be published; further ones are lost.
    size_t event_bytes_waiting_max = 16 << 20;
    size_t feed_high_water = 512;  // Events that a slow viewer may lag behind.
  };

  struct Counts {
    uint64_t requests = 0;   // Well-formed, in time and within the bounds: given to ServeControl.
    uint64_t malformed = 0;  // Wrong frames: dropped, nobody can be answered.
    uint64_t undecodable = 0;
    uint64_t overloaded = 0;
    uint64_t unanswered = 0;    // The deadline passed.
    uint64_t replies_lost = 0;  // The client is gone or does not read.
    uint64_t events_lost = 0;   // More than may wait.
    uint64_t restarts = 0;      // There were more connections than may be.
    uint64_t strangers = 0;     // Messages of keys that were taken away: dropped.
    uint64_t admitted = 0;      // Connections from the network,
    uint64_t refused = 0;       // and those that had no key of a user.
  };

  // kInvalidArgument when the folder is somebody else's, open to others, too long a name, or served
  // by a live daemon, and when the network's address cannot be listened at.
  static Result<std::unique_ptr<FrontDoor>> open(Options options, ServeControl serve);
  ~FrontDoor();

  // From any thread; never waits. Feeds are for people: a slow viewer misses events and asks for
  // the history again. `owner` of the job, who alone sees it over the network, operators apart.
  void publish(std::string topic, std::string owner, std::vector<std::byte> event);

  // Where it can be reached from the network.
  std::optional<HostPort> network_address() const;

  Counts counts() const;

 private:
  class Impl;
  explicit FrontDoor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::cluster

// The head's door for other hosts: a ROUTER with CURVE that the daemons of nodes dial. One thread
// owns the socket and the roster.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cluster/gateway/host_port.h"
#include "cluster/keys/key_ring.h"
#include "cluster/nodes/node_roster.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class NodeDoor {
 public:
  struct Options {
    HostPort address{};  // Port 0: any that is free.
    std::shared_ptr<KeyRing> ring{};
    NodeRoster::Options roster{};
  };

  // All are called on the door's thread and return quickly.
  struct Handlers {
    // `key` is the public key that it shows, as text.
    std::function<void(const std::string& node, const NodeHello& hello, const std::string& address,
                       const std::string& key)>
        joined{};
    std::function<void(const std::string& node)> away{};
    std::function<void(const std::string& node)> back{};
    std::function<void(const std::string& node, const std::string& why)> gone{};
    std::function<void(const std::string& node, FromNode message)> said{};
    std::function<void()> ticked = [] {};  // Several times a second.
    // `answer` may be called from any thread, also after the door is gone.
    std::function<void(const std::string& node, FileRequest request,
                       std::function<void(FileReply)> answer)>
        asked_for_file{};
  };

  // kInvalidArgument when nothing can listen there.
  static Result<std::unique_ptr<NodeDoor>> open(Options options, Handlers handlers);
  ~NodeDoor();

  const HostPort& address() const;
  // From any thread. Nothing happens when the node is not there.
  void say(const std::string& node, ToNode message);

 private:
  class Impl;
  explicit NodeDoor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::cluster

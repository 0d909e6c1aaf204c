// A node's connection to its head: a DEALER with CURVE that dials again and again. One thread owns
// the socket and the session.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "cluster/keys/keys_folder.h"
#include "cluster/nodes/node_member.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class NodeDialer {
 public:
  struct Options {
    std::string endpoint{};  // "tcp://head:7733"
    KeyFile key{};
    NodeMember::Options member{};
  };

  // All are called on the dialer's thread and return quickly.
  struct Handlers {
    // By a head that knows nothing of what was. What is returned is said first.
    std::function<NodeProcesses()> joined{};
    std::function<void()> back{};
    std::function<void()> silent{};
    std::function<void(const std::string& reason, bool is_final)> refused{};
    std::function<void(ToNode message)> heard{};
    std::function<uint64_t()> disk_free_bytes{};
  };

  static Result<std::unique_ptr<NodeDialer>> open(Options options, Handlers handlers);
  ~NodeDialer();

  // From any thread. What is said while there is no session is forgotten.
  void say(FromNode message);
  // Beside the session: it may be lost, and is asked again by whoever asks.
  void ask_for_file(FileRequest request);
  // The last word; returns when the head has it, or none can be had within a while.
  void say_last(FromNode message);

 private:
  class Impl;
  explicit NodeDialer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::cluster

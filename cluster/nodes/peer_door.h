// A node's door for the other nodes of its head: they read its copies of files there. A ROUTER with
// CURVE; who may come in is what the head says of who is there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cluster/keys/curve_key.h"
#include "cluster/nodes/copy_shelf.h"
#include "schemas/result.h"

namespace troupe::cluster {

class PeerDoor {
 public:
  // Any free port of that address. `shelf` outlives it. kInvalidArgument when nothing can listen
  // there.
  static Result<std::unique_ptr<PeerDoor>> open(const std::string& address, CopyShelf& shelf);
  ~PeerDoor();

  uint16_t port() const;
  // By which others know that they speak to this one.
  const std::string& key() const;

  // From any thread. A key that is none lets nobody in.
  void let_in(const std::string& node, const std::string& key);
  void shut_out(const std::string& node);
  void shut_all_out();

 private:
  class Impl;
  explicit PeerDoor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::cluster

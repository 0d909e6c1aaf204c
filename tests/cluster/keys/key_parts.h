// A head's keys in a folder of their own, and sockets that use them.
#pragma once

#include <doctest/doctest.h>
#include <zmq.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "cluster/keys/curve_socket.h"
#include "cluster/keys/key_ring.h"
#include "cluster/keys/keys_folder.h"
#include "tests/support/temp_dir.h"

namespace troupe::tests {

class HeadKeys {
 public:
  HeadKeys() { REQUIRE(cluster::init_keys(folder())); }

  std::string folder() const { return dir_.file("keys"); }
  std::string key_path(const std::string& name) const { return dir_.file(name + ".key"); }

  cluster::KeyFile add(cluster::KeyKind kind, const std::string& name, bool is_operator = false) {
    const auto added = cluster::add_key(
        folder(), {.kind = kind, .name = name, .is_operator = is_operator}, key_path(name));
    if (!added) MESSAGE(added.error().message);
    REQUIRE(added);
    auto file = cluster::read_key_file(key_path(name));
    REQUIRE(file);
    return std::move(*file);
  }
  cluster::KeyFile add_user(const std::string& name) { return add(cluster::KeyKind::kUser, name); }
  cluster::KeyFile add_operator(const std::string& name) {
    return add(cluster::KeyKind::kUser, name, true);
  }
  cluster::KeyFile add_node(const std::string& name) { return add(cluster::KeyKind::kNode, name); }

  // Somebody who knows the head's public key and made a key pair for themselves.
  cluster::KeyFile stranger() const {
    const auto head = cluster::read_head_keys(folder());
    const auto keys = cluster::make_curve_keys();
    REQUIRE(head);
    REQUIRE(keys);
    return {.name = "stranger", .keys = *keys, .head_key = head->public_key};
  }

  std::shared_ptr<cluster::KeyRing> ring(cluster::KeyRing::Options options = {}) const {
    options.folder = folder();
    auto opened = cluster::KeyRing::open(std::move(options));
    if (!opened) MESSAGE(opened.error().message);
    REQUIRE(opened);
    return *opened;
  }
  // Looks at the folder each time.
  std::shared_ptr<cluster::KeyRing> watchful_ring() const {
    return ring({.look_every = std::chrono::milliseconds(0)});
  }

 private:
  TempDir dir_{};
};

}  // namespace troupe::tests

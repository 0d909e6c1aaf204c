// Both ends of the link between a head and a node, over real sockets, and what they heard.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cluster/keys/curve_socket.h"
#include "cluster/nodes/node_dialer.h"
#include "cluster/nodes/node_door.h"
#include "tests/support/temp_dir.h"

namespace troupe::tests {

using namespace cluster;

struct LinkKeys {
  LinkKeys() {
    REQUIRE(init_keys(folder()));
    add("b", KeyKind::kNode);
  }
  std::string folder() const { return dir.file("keys"); }
  KeyFile add(const std::string& name, KeyKind kind) {
    REQUIRE(add_key(folder(), {.kind = kind, .name = name}, dir.file(name + ".key")));
    return key(name);
  }
  KeyFile key(const std::string& name) const { return *read_key_file(dir.file(name + ".key")); }

  TempDir dir{};
};

// What a head hears of its nodes.
class TestHead {
 public:
  explicit TestHead(const LinkKeys& keys, uint64_t first_session = 1) {
    auto ring =
        KeyRing::open({.folder = keys.folder(), .look_every = std::chrono::milliseconds(0)});
    REQUIRE(ring);
    auto door = NodeDoor::open(
        {.address = {"127.0.0.1", 0},
         .ring = *ring,
         .roster = {.build = "b1", .arithmetic_id = "cpu-1", .first_session = first_session}},
        {.joined = [this](const std::string&, const NodeHello&, const std::string&,
                          const std::string&) { add(&joined); },
         .away = [this](const std::string&) { add(&away); },
         .back = [this](const std::string&) { add(&back); },
         .gone = [this](const std::string&, const std::string&) { add(&gone); },
         .said =
             [this](const std::string& node, FromNode message) {
               const std::lock_guard lock(mutex_);
               if (node != "b") {
                 others_.insert(node);
                 return;
               }
               if (auto* says = std::get_if<WorkerSays>(&message)) {
                 heard_.push_back(says->peer);
                 bytes_ += says->envelope.size();
               }
             },
         .asked_for_file =
             [](const std::string&, FileRequest request,
                const std::function<void(FileReply)>& answer) {
               answer({.request_id = request.request_id});
             }});
    REQUIRE(door);
    door_ = std::move(*door);
  }
  NodeDoor& door() { return *door_; }
  std::vector<uint64_t> heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }
  std::set<std::string> others() const {
    const std::lock_guard lock(mutex_);
    return others_;
  }

  std::atomic<int> joined{0}, away{0}, back{0}, gone{0};

 private:
  static void add(std::atomic<int>* count) { ++*count; }

  mutable std::mutex mutex_{};
  std::vector<uint64_t> heard_{};
  size_t bytes_ = 0;
  std::set<std::string> others_{};
  std::unique_ptr<NodeDoor> door_{};
};

class TestNode {
 public:
  TestNode(const KeyFile& key, uint16_t port, uint64_t instance = 1) {
    auto dialer = NodeDialer::open(
        {.endpoint = "tcp://127.0.0.1:" + std::to_string(port),
         .key = key,
         .member = {.hello = {.instance = instance, .build = "b1", .arithmetic_id = "cpu-1"}}},
        {.joined =
             [this] {
               ++joined;
               return NodeProcesses{};
             },
         .back = [this] { ++back; },
         .silent = [this] { ++silent; },
         .refused = [this](const std::string&, bool) { ++refused; },
         .heard =
             [this](ToNode message) {
               const std::lock_guard lock(mutex_);
               if (auto* kill = std::get_if<KillProcess>(&message)) heard_.push_back(kill->pid);
             },
         .disk_free_bytes = [] { return 0; }});
    REQUIRE(dialer);
    dialer_ = std::move(*dialer);
  }
  NodeDialer& dialer() { return *dialer_; }
  std::vector<uint64_t> heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

  std::atomic<int> joined{0}, back{0}, silent{0}, refused{0};

 private:
  mutable std::mutex mutex_{};
  std::vector<uint64_t> heard_{};
  std::unique_ptr<NodeDialer> dialer_{};
};

}  // namespace troupe::tests

// Worker processes on this host and on those that have joined it. To the runs of jobs a worker of
// another host is an actor like any other: one here stands for it and passes on what it is told.
#pragma once

#include <caf/all.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "actors/slot_host.h"
#include "cluster/daemon/process_host.h"
#include "cluster/nodes/file_service.h"
#include "cluster/nodes/host_examiner.h"
#include "cluster/nodes/node_door.h"

namespace troupe::cluster {

// A node that has joined, for people and for placement.
struct NodeFacts {
  std::string name{};
  std::string address{};
  HostFacts facts{};
  bool is_away = false;
  std::string instruction_set{};
};

class ClusterHost final : public actors::SlotHost {
 public:
  // Called from any thread, in order.
  struct Watcher {
    std::function<void(const NodeFacts&)> node_up{};
    std::function<void(const std::string& node)> node_away{};
    std::function<void(const std::string& node)> node_leaves{};
    std::function<void(const std::string& node, const std::string& why)> node_gone{};
  };

  // What jobs that are placed call this host.
  ClusterHost(std::string own_name, ProcessHost::Options options)
      : own_name_(std::move(own_name)), local_(std::move(options)) {}
  ~ClusterHost() override;

  // Listens for other hosts; what their workers say goes to the hub. All of it outlives `close`.
  Status open(NodeDoor::Options options, caf::actor_system& system, caf::actor hub,
              Watcher watcher);
  // Nobody else is heard from now on.
  void close();
  // Where they join.
  std::optional<HostPort> nodes_address() const;

  std::vector<NodeFacts> nodes() const;
  // Asks a node how it is and tries its link; see HostExaminer.
  void examine(const std::string& node, HostReport& report) { examiner_.examine(node, report); }
  // Nobody is asked any more, and who waits for an answer does so no longer.
  void end_examining() { examiner_.close(); }

  void start(const actors::WorkerLaunch& launch, std::function<void(Result<uint64_t>)> started,
             std::function<void(const actors::ProcessEnd&)> ended) override;
  void serve_files(uint64_t job, const std::string& home,
                   const std::vector<std::string>& reads) override;
  std::vector<actors::Survivor> take_over(
      uint64_t job, const std::string& credentials_folder,
      std::function<void(const actors::ProcessEnd&)> ended) override;
  void kill(uint64_t pid) override;
  void end_job(uint64_t job) override;
  bool is_here(const std::string& node) const override { return node.empty() || node == own_name_; }
  std::string address_of(const std::string& node) const override;
  void drop_files(uint64_t job, const std::string& path) override;
  void keep_files(uint64_t job, const std::string& was, const std::string& path) override;
  Result<std::string> bring_back(uint64_t job, const std::string& home,
                                 const std::string& path) override;

 private:
  using Clock = std::chrono::steady_clock;
  using Ended = std::function<void(const actors::ProcessEnd&)>;

  struct Node {
    uint32_t number = 0;  // In ids of its processes.
    std::string address{};
    HostFacts facts{};
    std::string instruction_set{};
    std::string key{};  // That it shows to others; empty: it has not joined.
    bool shares_home = false;
    bool is_there = false;
    bool is_away = false;
    bool was_there = false;  // What runs there beside what it was told is nobody's.
    std::map<uint64_t, caf::actor> proxies{};  // Of its workers, by their connections.
  };
  struct Starting {
    std::string node{};
    uint64_t job = 0;
    uint32_t slot = 0;
    std::string token{};
    std::function<void(Result<uint64_t>)> started{};
    Ended ended{};
    bool is_unwanted = false;
  };
  struct Remote {
    std::string node{};
    uint64_t job = 0;
    uint32_t slot = 0;
    std::string token{};
    Ended ended{};  // Empty: nobody has asked for it yet.
    Clock::time_point known_since{};
  };

  // A node that was asked for what it has of some files.
  struct Giving {
    std::string node{};
    std::optional<FilesGiven> answer{};
    bool is_gone = false;
  };

  void joined(const std::string& name, const NodeHello& hello, const std::string& address,
              const std::string& key);
  void away(const std::string& name, bool is_away);
  void gone(const std::string& name, const std::string& why);
  void said(const std::string& name, FromNode message);
  void end_unclaimed();
  void take(const std::string& name, const NodeProcesses& list);
  void take(const std::string& name, const ProcessStarted& started);
  void take(const std::string& name, const ProcessEnded& ended);
  void take(const std::string& name, WorkerSays says);
  void end_all_of(const std::string& name, std::vector<std::function<void()>>& calls);
  static bool may_keep(const Node& node) {
    return node.is_there && !node.is_away && !node.shares_home;
  }
  uint64_t id_of(const Node& node, uint64_t pid) const {
    return static_cast<uint64_t>(node.number) << 32 | pid;
  }

  const std::string own_name_;
  ProcessHost local_;
  FileService files_{};
  HostExaminer examiner_{[this](const std::string& node, ExamineNode question) {
    const std::lock_guard lock(mutex_);
    if (door_) door_->say(node, std::move(question));
  }};
  caf::actor_system* system_ = nullptr;
  caf::actor hub_{};
  Watcher watcher_{};
  std::unique_ptr<NodeDoor> door_{};
  mutable std::mutex mutex_{};
  std::condition_variable given_{};
  // All below: guarded by mutex_.
  bool is_open_ = false;
  std::map<std::string, Node> nodes_{};
  std::map<uint64_t, Starting> starting_{};  // By request.
  std::map<uint64_t, Remote> remote_{};      // By id.
  std::string own_address_{};                // By which nodes reach this host.
  std::map<uint64_t, std::string> homes_{};  // Of jobs.
  std::map<uint64_t, Giving> giving_{};      // By request.
  uint64_t next_request_ = 1;
};

// The process's number on its own host.
inline uint64_t host_pid(uint64_t id) { return id & 0xffffffff; }

}  // namespace troupe::cluster

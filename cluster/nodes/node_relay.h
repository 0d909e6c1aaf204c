// What passes between a head and the workers of another host, as an actor: workers connect to it as
// they would to a head. What names files waits until those are where they are needed; the order of
// what is said to a worker, and of what it says, stays.
#pragma once

#include <caf/all.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "actors/transport.h"
#include "cluster/nodes/file_mover.h"
#include "cluster/nodes/job_border.h"
#include "schemas/node.h"
#include "schemas/work.h"

namespace troupe::cluster {

// ---- What the relay is told.
struct JobIsHere {
  uint64_t job = 0;
  JobBorder::Places places{};
};
struct HeadSaid {
  WorkerHears message{};
};
// All that was said belongs to a head that is gone.
struct HeadIsNew {};
struct FilesMoved {
  uint64_t peer = 0;
  bool is_to_worker = false;
  uint64_t move = 0;
  Status status = ok();
};

// They do not move yet: there is no room for them.
struct FilesWait {
  uint64_t peer = 0;
  bool is_to_worker = false;
  uint64_t move = 0;
  std::string why{};
};

// What it needs; outlives it.
struct RelayParts {
  FileMover* mover = nullptr;
  std::function<void(FromNode)> say{};
  // A worker cannot be given what it needs.
  std::function<void(uint64_t pid, const std::string& why)> end_worker{};
};

class RelayState {
 public:
  static inline const char* name = "relay";

  void begin(caf::event_based_actor* self, const RelayParts* parts);
  void worker_said(const actors::WireBytes& bytes, const caf::strong_actor_ptr& sender);
  void worker_gone(const caf::actor_addr& address);
  void job_is_here(const JobIsHere& here);
  void head_said(const HeadSaid& said);
  void head_is_new();
  void files_moved(const FilesMoved& moved);
  void files_wait(const FilesWait& wait);
  // A worker whose lease waits for files cannot say yet that it is there.
  void tick();

 private:
  // One direction of what is said.
  struct Lane {
    std::deque<Crossing> waiting{};
    uint64_t move = 0;        // Of the first one's files; 0: none is under way.
    std::string waits_for{};  // Room for them.
  };
  struct Peer {
    caf::actor actor{};
    uint64_t job = 0;
    uint64_t pid = 0;
    Lane to_worker{};
    Lane from_worker{};
  };

  uint64_t number_of(const caf::strong_actor_ptr& sender, uint64_t job);
  void advance(uint64_t number, Peer& peer, bool is_to_worker);
  static Envelope with_waiting(const Envelope& envelope, Heartbeat beat, const Peer& peer);

  caf::event_based_actor* self_ = nullptr;
  const RelayParts* parts_ = nullptr;
  std::map<uint64_t, JobBorder> jobs_{};
  std::map<uint64_t, Peer> peers_{};
  std::map<caf::actor_addr, uint64_t> numbers_{};
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> leases_{};  // Whose, by job and epoch.
  uint64_t next_peer_ = 1;
  uint64_t next_move_ = 1;
};

caf::behavior relay_actor(caf::stateful_actor<RelayState>* self, const RelayParts* parts);

}  // namespace troupe::cluster

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::cluster::JobIsHere)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::cluster::HeadSaid)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::cluster::HeadIsNew)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::cluster::FilesMoved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::cluster::FilesWait)

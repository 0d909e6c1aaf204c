// Moves files between a node and its head, or another node that has a copy, in pieces. Those of a
// job come one after another, those of several jobs side by side, so that nobody waits for
// another's model. What the head does not answer is asked again, for as long as it takes; room is
// looked at before anything is moved.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster/nodes/copy_shelf.h"
#include "cluster/nodes/job_border.h"
#include "cluster/nodes/peer_reader.h"
#include "schemas/descriptor.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class FileMover {
 public:
  using Done = std::function<void(Status)>;
  // There is no room, with both numbers: the mover goes on by itself when there is.
  using Waits = std::function<void(const std::string& why)>;

  // What a node needs to read from others and to be read by them; all of it outlives the mover.
  struct Peers {
    KeyFile key{};  // This node's own.
    CopyShelf* shelf = nullptr;
  };

  // `ask` may lose what it is given. `whose` disk things are fetched to, for people: "node b".
  // Without `peers` all comes from the head.
  explicit FileMover(std::function<void(FileRequest)> ask, std::string whose = "this host",
                     std::optional<Peers> peers = {});
  ~FileMover();

  // Both are called from a thread of the mover's. `done` once, or not at all when the mover ends
  // before; an error is the head's, or this host's. `waits` once for each time that it begins to
  // wait. A copy that is here already is not fetched again, and of a file of which another version
  // is here only what differs.
  void fetch(uint64_t job, std::vector<FileMove> files, Done done, Waits waits = {});
  void push(uint64_t job, std::vector<FileMove> files, Done done, Waits waits = {});
  void answered(FileReply reply);
  // The connection to the head is another one: what was asked over the old one is asked again.
  void connected();

  // What was fetched and pushed, and how much of it other nodes have given.
  uint64_t bytes_moved() const;
  uint64_t bytes_from_peers() const;

 private:
  using Digests = std::vector<std::byte>;  // 32 bytes for each part.
  struct Task {
    bool is_fetch = true;
    std::vector<FileMove> files{};
    Done done{};
    Waits waits{};
  };
  // The tasks of one job.
  struct Lane {
    std::deque<Task> tasks{};
    uint64_t promised_bytes = 0;  // That are still to be written here.
    bool is_running = false;
    std::thread thread{};
  };
  struct FileToFetch {
    std::string at_head{};
    std::string here{};
    FileEntry entry{};

    FileVersion version() const { return {at_head, entry.bytes, entry.modified_ns}; }
  };
  // One file on its way here.
  struct Transfer {
    uint64_t job = 0;
    Lane& lane;
    const FileToFetch& file;
    int to = -1;
    Descriptor old_copy{};                 // Another version of it that is here.
    CopySource source{};                   // Where it is read.
    std::unique_ptr<PeerReader> reader{};  // Nothing: at the head.
  };

  void add(uint64_t job, Task task);
  void run(uint64_t job, Lane& lane);
  Status move(uint64_t job, Lane& lane, const Task& task);
  Status fetch_all(uint64_t job, Lane& lane, const std::vector<FileMove>& files);
  Status fetch_file(uint64_t job, Lane& lane, const FileToFetch& file);
  Status fetch_bytes(uint64_t job, Lane& lane, const FileToFetch& file, int to);
  Status fetch_window(Transfer& transfer, uint64_t begin, uint64_t end);
  // The parts that begin there.
  Result<std::vector<std::vector<std::byte>>> read_parts(Transfer& transfer,
                                                         const std::vector<uint64_t>& offsets,
                                                         const Digests& digests, uint64_t begin);
  Status find_source(Transfer& transfer, const std::string& failed);
  Status say_that_it_is_here(uint64_t job, const FileToFetch& file);
  bool is_for_peers(const FileEntry& entry) const;
  bool is_ending() const;
  Status push_all(uint64_t job, const std::vector<FileMove>& files);
  Status push_one(uint64_t job, const FileMove& move);
  // The answers to several requests, in their order.
  Result<std::vector<FileReply>> ask_all(uint64_t job, std::vector<FileRequest> requests);
  enum class From { kHere, kHead, kPeer };
  void count_written(Lane& lane, uint64_t bytes, From from);

  const std::function<void(FileRequest)> ask_;
  const std::string whose_;
  const std::optional<Peers> peers_;
  mutable std::mutex mutex_{};
  std::condition_variable changed_{};
  // All below: guarded by mutex_.
  std::map<uint64_t, Lane> lanes_{};  // By job.
  std::set<std::string> coming_{};    // Paths that are being fetched to.
  std::map<uint64_t, FileReply> replies_{};
  std::set<uint64_t> awaited_{};
  uint64_t next_request_ = 1;
  uint64_t connections_ = 0;
  uint64_t bytes_moved_ = 0;
  uint64_t bytes_from_peers_ = 0;
  bool is_ending_ = false;
};

}  // namespace troupe::cluster

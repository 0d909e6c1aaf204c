// Moves files between a node and its head, in pieces, one file after another. What the head does
// not answer is asked again, for as long as it takes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster/nodes/job_border.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class FileMover {
 public:
  using Done = std::function<void(Status)>;

  // `ask` may lose what it is given.
  explicit FileMover(std::function<void(FileRequest)> ask);
  ~FileMover();

  // `done` is called once, from the mover's thread, or not at all when the mover ends before. An
  // error is the head's, or this host's disk: trying again may help where it is kExhausted.
  // A copy that is here already is not fetched again.
  void fetch(uint64_t job, std::vector<FileMove> files, Done done);
  void push(uint64_t job, std::vector<FileMove> files, Done done);
  void answered(FileReply reply);

  // What was fetched and pushed.
  uint64_t bytes_moved() const;

 private:
  struct Task {
    uint64_t job = 0;
    bool is_fetch = true;
    std::vector<FileMove> files{};
    Done done{};
  };

  void run();
  Status fetch_one(uint64_t job, const FileMove& move);
  Status fetch_file(uint64_t job, const std::string& at_head, const std::string& here,
                    const FileEntry& entry);
  Status push_one(uint64_t job, const FileMove& move);
  // The answers to several requests, in their order.
  Result<std::vector<FileReply>> ask_all(uint64_t job, std::vector<FileRequest> requests);

  const std::function<void(FileRequest)> ask_;
  mutable std::mutex mutex_{};
  std::condition_variable changed_{};
  // All below: guarded by mutex_.
  std::deque<Task> tasks_{};
  std::map<uint64_t, FileReply> replies_{};
  std::set<uint64_t> awaited_{};
  uint64_t next_request_ = 1;
  uint64_t bytes_moved_ = 0;
  bool is_ending_ = false;
  std::thread thread_{};
};

}  // namespace troupe::cluster

// Files of jobs, for nodes that have no file system in common with their head: what a job's folder
// and its model hold may be read, and recovery points and published versions may be written. One
// thread does it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/nodes/link_mailbox.h"
#include "schemas/node.h"

namespace troupe::cluster {

class FileService {
 public:
  FileService();
  ~FileService();

  // From any thread.
  // Nodes may ask for what is in these folders, and write below `home`.
  void allow(uint64_t job, const std::string& home, const std::vector<std::string>& reads);
  void forbid(uint64_t job);
  // `answer` is called once, from the service's thread, or not at all when it ends before.
  void ask(FileRequest request, std::function<void(FileReply)> answer);

 private:
  struct Allowed {
    std::string home{};
    std::vector<std::string> reads{};
  };
  using Asked = std::pair<FileRequest, std::function<void(FileReply)>>;

  void run();
  FileReply serve(const FileRequest& request);
  bool may(uint64_t job, const std::string& path, bool writes);

  LinkMailbox<Asked> mailbox_{};
  std::mutex mutex_{};
  std::map<uint64_t, Allowed> allowed_{};  // Guarded by mutex_.
  std::thread thread_{};
};

// Whether a path lies in a folder or is it, without a way out of it.
bool is_below(const std::string& path, const std::string& folder);

}  // namespace troupe::cluster

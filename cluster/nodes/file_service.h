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

#include "cluster/nodes/file_sources.h"
#include "cluster/nodes/file_time.h"
#include "cluster/nodes/link_mailbox.h"
#include "schemas/hash.h"
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
  // A node serves its copies to others, or does not any more.
  void node_up(const std::string& node, CopySource source);
  void node_gone(const std::string& node);
  // No node keeps what lies at this path or below.
  void dropped(const std::string& path);
  // `answer` is called once, from the service's thread, or not at all when it ends before.
  void ask(const std::string& node, FileRequest request, std::function<void(FileReply)> answer);

 private:
  struct Allowed {
    std::string home{};
    std::vector<std::string> reads{};
  };
  struct Asked {
    std::string node{};
    FileRequest request{};
    std::function<void(FileReply)> answer{};
  };
  // Digests of the parts of a file as it is, by part: many nodes ask for the same.
  struct Hashed {
    FileStamp stamp{};
    std::map<uint64_t, Sha256Digest> parts{};
  };

  void run();
  FileReply serve(const std::string& node, const FileRequest& request);
  Result<std::vector<std::byte>> hash_parts(const HashParts& what);
  bool may(uint64_t job, const std::string& path, bool writes);

  LinkMailbox<Asked> mailbox_{};
  std::mutex mutex_{};
  std::map<uint64_t, Allowed> allowed_{};   // Guarded by mutex_.
  FileSources sources_{};                   // Guarded by mutex_.
  std::map<std::string, Hashed> hashed_{};  // By path; of the service's thread.
  std::thread thread_{};
};

// Whether a path lies in a folder or is it, without a way out of it.
bool is_below(const std::string& path, const std::string& folder);

}  // namespace troupe::cluster

// From which host a node reads a file of the head's, as a state machine: nodes that want one file
// at the same time form a tree under the head and hand its parts on as they come, so that the
// head's link carries it a few times and not once for each node.
//
//   find ──▶ a node that has the file, else the head, else a node that is about to have it; each is
//            read by so many at a time
//   has  ──▶ it has the file wholly, and reads of nobody any more
//
// What comes from another node is checked by the head's digests; who failed is not named again for
// this file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "schemas/node.h"

namespace troupe::cluster {

class FileSources {
 public:
  struct Options {
    size_t readers_max = 2;  // Of one file at one host.
    // That something is known of; at more, those that nobody reads are forgotten.
    size_t files_max = 4'096;
  };

  FileSources() : FileSources(Options{}) {}
  explicit FileSources(Options options) : options_(options) {}

  // A node serves copies, or serves none any more.
  void up(const std::string& node, CopySource source);
  void gone(const std::string& node);

  // Where `node` reads `file`, after `failed` could not give it (empty: nobody did). The same node
  // may ask again, and then what it was told before counts no longer.
  CopySource find(const std::string& node, const FileVersion& file, const std::string& failed);
  void has(const std::string& node, const FileVersion& file);
  // Nobody keeps what lies at this path of the head's or below.
  void dropped(const std::string& path);

 private:
  struct Reader {
    std::string source{};  // Empty: the head. Of a holder: nobody.
    bool has_it = false;
    std::set<std::string> failed{};  // At it.
  };
  // By node, those that have the file and those that are about to.
  using Readers = std::map<std::string, Reader>;

  static size_t count_readers(const Readers& readers, const std::string& source);
  // How many hosts a part passes on its way from one that has the file to `node`; nothing when it
  // would come by way of `without`.
  static std::optional<size_t> distance(const Readers& readers, std::string node,
                                        const std::string& without);
  void forget_unread();

  const Options options_;
  std::map<std::string, CopySource> nodes_{};
  std::map<FileVersion, Readers> files_{};
};

}  // namespace troupe::cluster

// Which files of the head's have a copy on this node, or are about to, and how far they are: what
// other nodes may read here. From any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schemas/descriptor.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class CopyShelf {
 public:
  // A file is about to be written to `here`, from its beginning on; so much of it is there; it is
  // whole and has another name; it does not come.
  void begin(const FileVersion& file, const std::string& here);
  void grew(const FileVersion& file, uint64_t bytes);
  // False: that was known.
  bool finish(const FileVersion& file, const std::string& here);
  void give_up(const FileVersion& file);

  // The bytes; nothing: they are not here yet. An error: they do not come.
  std::optional<Result<std::vector<std::byte>>> read(const ReadCopy& what) const;

  // Called whenever `read` may say something else, from whoever's thread that is.
  void on_change(std::function<void()> changed);

 private:
  struct Copy {
    std::string here{};
    uint64_t bytes = 0;                        // That are there.
    std::shared_ptr<const Descriptor> file{};  // While its name may change.
  };

  void put(const FileVersion& file, Copy copy);
  void changed() const;

  mutable std::mutex mutex_{};
  // All below: guarded by mutex_.
  std::map<FileVersion, Copy> copies_{};
  std::function<void()> changed_{};
};

}  // namespace troupe::cluster

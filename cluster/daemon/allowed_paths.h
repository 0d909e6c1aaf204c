// Which files of the head's host the users of other hosts may name: what lies below the folders
// that its operator allows, wherever links lead.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::cluster {

class AllowedPaths {
 public:
  // `home` is the daemon's own folder, of which nothing is allowed, also where it lies below an
  // allowed one. kInvalidArgument for what is no folder, and for one that lies in `home`.
  static Result<AllowedPaths> open(const std::vector<std::string>& folders,
                                   const std::string& home);

  // `path` without links and dots, when it and, of a folder, all that it holds lie below an allowed
  // folder, or below one of `own`, which are folders in the daemon's. kInvalidArgument that names
  // the path and what is allowed; it says nothing of what there is elsewhere.
  Result<std::string> find(const std::string& path, std::span<const std::string> own) const;

 private:
  struct Folder {
    std::string given{};  // As it was said,
    std::string real{};   // and without links.
  };

  Error refused(const std::string& path) const;

  std::vector<Folder> folders_{};
  std::string home_{};
};

}  // namespace troupe::cluster

// What a boxed program sees of the host: the parts of a root that is built anew for every box, a
// few of the host's folders read-only. Mounts are what starting a box costs, so a folder is taken
// whole where all of it is part of the toolchain.
#pragma once

#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::actors::sandbox {

struct RootPart {
  enum class Kind {
    kFolder,
    kHostFolder,  // The host's, read-only, with what is mounted below it.
    kHostFile,
    kHostDevice,
    kLink,
  };
  Kind kind = Kind::kFolder;
  std::string path{};    // In the box, without the leading '/'.
  std::string target{};  // Of a link; else on the host.
};

// In an order in which they can be made. kInvalidArgument for a toolchain that nobody knows,
// kInternal for one that is not installed.
Result<std::vector<RootPart>> toolchain_root(const std::string& toolchain);

}  // namespace troupe::actors::sandbox

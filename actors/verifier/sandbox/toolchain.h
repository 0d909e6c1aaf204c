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

// The toolchain with which Python's installed packages are there too.
inline constexpr char kPythonWithPackages[] = "python-packages";

// Where the system's Python has its packages, those folders that exist. They are at the same place
// in a box with kPythonWithPackages.
std::vector<std::string> python_package_folders();

// In an order in which they can be made. kInvalidArgument for a toolchain that nobody knows,
// kInternal for one that is not installed.
Result<std::vector<RootPart>> toolchain_root(const std::string& toolchain);

}  // namespace troupe::actors::sandbox

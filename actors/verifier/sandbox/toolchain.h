// What a boxed program sees of the host: arguments of bubblewrap that build a root of a few
// read-only folders. Mounts are what starting a box costs, so a folder is taken whole where all of
// it is part of the toolchain.
#pragma once

#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::actors::sandbox {

// kInvalidArgument for a toolchain that nobody knows, kInternal for one that is not installed.
Result<std::vector<std::string>> toolchain_mounts(const std::string& toolchain);

}  // namespace troupe::actors::sandbox

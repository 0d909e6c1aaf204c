// Small files that nobody but us may read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::cluster {

// Whole and on the disk, or not there. kInvalidArgument when something has that name already.
Status create_private_file(const std::string& path, std::string_view text);

// kInvalidArgument when it is not there, is no plain file, is longer than `bytes_max`, belongs to
// another user or is open to others.
Result<std::string> read_private_file(const std::string& path, size_t bytes_max);

}  // namespace troupe::cluster

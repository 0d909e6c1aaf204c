// Parts of files, as they cross from host to host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Behind the name of a file that is not whole yet.
inline constexpr const char* kUnfinished = ".coming";

// Fewer bytes than asked for where the file ends. `path` is for people.
Result<std::vector<std::byte>> read_part(int file, uint64_t offset, uint32_t size,
                                         const std::string& path);
Result<std::vector<std::byte>> read_part(const ReadFile& what);

}  // namespace troupe::cluster

// Whole files: read with a named maximum, written so that a reader never sees half of one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

// kInvalidArgument when the file cannot be read or is longer than `bytes_max`.
Result<std::string> read_file(const std::string& path, size_t bytes_max);

// Writes `pieces`, one after another, to a temporary file beside `path`, syncs it and renames it to
// `path`: after a crash the old file or the new one is there, whole.
Status write_file(const std::string& path, std::span<const std::span<const std::byte>> pieces);
Status write_file(const std::string& path, const std::string& text);

}  // namespace troupe::model

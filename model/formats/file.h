// Whole files: read with a named maximum, written so that a reader never sees half of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

// kInvalidArgument when the file cannot be read or is longer than `bytes_max`.
Result<std::string> read_file(const std::string& path, size_t bytes_max);

// The first bytes of a file, or all where it has fewer. kInvalidArgument when it cannot be read.
Result<std::string> read_start(const std::string& path, size_t bytes);

// Whether a plain file is there; what cannot be looked at is not.
bool is_file(const std::string& path);

// What is left of a file when the machine stops.
enum class Durability : uint8_t {
  kSynced,  // The old file or the new one, whole.
  kNone,    // Anything. For files that nobody reads after a crash.
};

// Writes `pieces`, one after another, to a temporary file beside `path` and renames it to `path`,
// so that a reader finds the old file or the new one, whole. kExhausted when the disk is full.
Status write_file(const std::string& path, std::span<const std::span<const std::byte>> pieces,
                  Durability durability = Durability::kSynced);
Status write_file(const std::string& path, const std::string& text);

// A second name for a file that nobody writes to any more, or a copy where the file system has no
// such thing. `to` must not exist.
Status share_file(const std::string& from, const std::string& to,
                  Durability durability = Durability::kSynced);

// Creates what is missing of a folder's path; afterwards its name is on the disk, with those that
// were missing above it. Without that a power failure may take the folder and all that is in it,
// whatever was synced there.
Status create_folders(const std::string& path);

// Makes the names in a folder durable.
Status sync_folder(const std::string& folder);

}  // namespace troupe::model

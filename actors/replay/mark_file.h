// A number that only grows, kept so that a torn write of it leaves an earlier one: two slots, each
// with a checksum, and the one that is written is never the last that is known to be on the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schemas/result.h"

namespace troupe::actors {

class MarkFile {
 public:
  // Nothing when there is no such file; kCorruption when neither slot is whole. Nothing is written,
  // and what is found may not be on the disk: sync() comes before the first write().
  static Result<std::optional<MarkFile>> open(const std::string& path);
  // Whole or not at all, also after a crash.
  static Result<MarkFile> create(const std::string& path, uint64_t value);

  MarkFile(MarkFile&& other) noexcept;
  MarkFile& operator=(MarkFile&& other) noexcept;
  ~MarkFile();

  uint64_t value() const { return value_; }

  // Whoever opens the file from now on finds `value`, also after kill -9; after a failure, or a
  // loss of power, the last synced value or a later one. kExhausted when the disk is full.
  Status write(uint64_t value);

  // What was written is on the disk when this returns ok. After a failure it has to be written
  // again: the system forgets what it could not write, and the next sync would mean nothing.
  Status sync();
  bool is_synced() const { return is_synced_; }

 private:
  MarkFile(int file, std::string path, uint64_t counter, uint64_t value);

  int file_ = -1;
  std::string path_;
  uint64_t counter_ = 0;  // Of syncs; its lowest bit says which slot is known to be on the disk.
  uint64_t value_ = 0;
  bool is_synced_ = true;
};

}  // namespace troupe::actors

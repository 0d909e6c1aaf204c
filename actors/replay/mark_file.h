// A number that only grows, kept so that a torn write of it leaves the one before: two slots
// written in turn, each with a checksum.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schemas/result.h"

namespace troupe::actors {

class MarkFile {
 public:
  // Nothing when there is no such file; kCorruption when neither slot is whole.
  static Result<std::optional<MarkFile>> open(const std::string& path);
  // Whole or not at all, also after a crash.
  static Result<MarkFile> create(const std::string& path, uint64_t value);

  MarkFile(MarkFile&& other) noexcept;
  MarkFile& operator=(MarkFile&& other) noexcept;
  ~MarkFile();

  uint64_t value() const { return value_; }

  // On the disk when this returns ok. After a failure the old value or the new one is there.
  // kExhausted when the disk is full.
  Status write(uint64_t value);

 private:
  MarkFile(int file, std::string path, uint64_t counter, uint64_t value);

  int file_ = -1;
  std::string path_;
  uint64_t counter_ = 0;  // Of writes; its lowest bit says which slot the last one went to.
  uint64_t value_ = 0;
};

}  // namespace troupe::actors

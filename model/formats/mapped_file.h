// A file mapped into memory for reading. It must not be shortened while it is open: reading a page
// that is gone is SIGBUS.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "schemas/result.h"

namespace troupe::model {

class MappedFile {
 public:
  // kInvalidArgument when the file cannot be read. An empty file has no bytes.
  static Result<MappedFile> open(const std::string& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  // Stays where it is when the object moves.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_{};
};

}  // namespace troupe::model

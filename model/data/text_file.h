// The bytes of a data file, front to back, whether it is plain or compressed.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::model {

// What a file is, is told by its first bytes and never by its name: gzip and zstd are read through,
// Parquet, Arrow, zip, xz, bzip2 and UTF-16 are refused with what to do. A mark of UTF-8 at the
// beginning is left out. For one reader; a pipe will do.
class TextFile {
 public:
  static constexpr size_t kBytesMax = size_t{1} << 34;  // Of the text, so a bomb ends.

  // kInvalidArgument, naming the file: it is not there, is a folder, cannot be read, or as above.
  static Result<TextFile> open(const std::string& path);

  TextFile(TextFile&&) noexcept;
  TextFile& operator=(TextFile&&) noexcept;
  ~TextFile();

  // The next bytes, valid until the next call; empty at the end. kInvalidArgument for damaged or
  // cut compressed data, for more than kBytesMax, and where reading fails.
  Result<std::string_view> next();

 private:
  class Decoder;
  class Plain;
  class Gzip;
  class Zstd;

  explicit TextFile(std::unique_ptr<Decoder> decoder);

  std::unique_ptr<Decoder> decoder_;
  size_t bytes_ = 0;
  bool is_first_ = true;
};

}  // namespace troupe::model

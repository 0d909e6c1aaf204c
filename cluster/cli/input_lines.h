// Standard input, line by line, with a bound on what is held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "schemas/result.h"

namespace troupe::cluster {

// The only reader of its file descriptor: it reads ahead.
class InputLines {
 public:
  static constexpr size_t kLineBytesMax = 16 << 20;

  // The next line that is not blank, without its end (\n or \r\n); nothing at the end.
  // kInvalidArgument for one that is longer than kLineBytesMax, and where standard input cannot be
  // read: nothing more can be read then.
  Result<std::optional<std::string>> next();

  int64_t number() const { return number_; }  // Of the last line, from 1.
  bool has_more_at_hand() const;              // next() would not have to wait for input.

 private:
  Status fill();

  std::string buffer_{};
  size_t position_ = 0;     // In buffer_.
  bool is_at_end_ = false;  // Or cannot be read.
  int64_t number_ = 0;
};

}  // namespace troupe::cluster

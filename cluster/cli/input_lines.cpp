#include "cluster/cli/input_lines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace troupe::cluster {

Result<std::optional<std::string>> InputLines::next() {
  while (true) {
    size_t end = buffer_.find('\n', position_);
    while (end == buffer_.npos && !is_at_end_) {
      const size_t searched = buffer_.size() - position_;
      if (searched > kLineBytesMax) break;
      if (Status filled = fill(); !filled) return filled.error();
      end = buffer_.find('\n', position_ + searched);
    }
    if (end == buffer_.npos) end = buffer_.size();
    if (end == position_ && end == buffer_.size()) return std::optional<std::string>();
    ++number_;
    if (end - position_ > kLineBytesMax) {
      return invalid_argument(
          fmt::format("standard input:{}: longer than {} bytes", number_, kLineBytesMax));
    }
    std::string_view line(buffer_.data() + position_, end - position_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    position_ = std::min(end + 1, buffer_.size());
    if (line.find_first_not_of(" \t\r") != line.npos) return std::optional(std::string(line));
  }
}

bool InputLines::has_more_at_hand() const {
  return is_at_end_ || buffer_.find('\n', position_) != buffer_.npos;
}

Status InputLines::fill() {
  constexpr size_t kReadBytes = 1 << 16;
  // What was handed out is dropped; the rest of a line moves to the front.
  buffer_.erase(0, position_);
  position_ = 0;
  const size_t size = buffer_.size();
  buffer_.resize(size + kReadBytes);
  ssize_t got = 0;
  do {
    got = read(STDIN_FILENO, buffer_.data() + size, kReadBytes);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(size + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  is_at_end_ = got <= 0;
  if (got < 0) {
    return invalid_argument(
        fmt::format("standard input:{}: cannot be read: {}", number_ + 1, std::strerror(errno)));
  }
  return ok();
}

}  // namespace troupe::cluster

// When a file was last written, which tells a copy from another file of the same name and size.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

namespace troupe::cluster {

inline constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

struct FileStamp {
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // Since 1970.
  bool operator==(const FileStamp&) const = default;
};

inline FileStamp stamp_of(const struct stat& found) {
  return {static_cast<uint64_t>(found.st_size),
          found.st_mtim.tv_sec * kNanosecondsPerSecond + found.st_mtim.tv_nsec};
}

// Nothing where there is no plain file.
inline std::optional<FileStamp> stamp_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  return stamp_of(found);
}

// False where the system will not.
inline bool set_modified(int file, int64_t modified_ns) {
  int64_t seconds = modified_ns / kNanosecondsPerSecond;
  int64_t rest = modified_ns % kNanosecondsPerSecond;
  if (rest < 0) rest += kNanosecondsPerSecond, --seconds;
  const timespec times[2] = {{0, UTIME_OMIT}, {seconds, rest}};
  return ::futimens(file, times) == 0;
}

}  // namespace troupe::cluster

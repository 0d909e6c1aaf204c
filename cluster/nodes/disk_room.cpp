#include "cluster/nodes/disk_room.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "cluster/monitor/text.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

constexpr uint64_t kMarginMax = 256 << 20;
constexpr uint64_t kShareOfDisk = 50;  // One in so many bytes, where that is less.

}  // namespace

uint64_t DiskRoom::margin_bytes() const { return std::min(kMarginMax, size_bytes / kShareOfDisk); }

std::optional<DiskRoom> disk_room(const std::string& path) {
  std::filesystem::path at = path;
  while (true) {
    struct statvfs disk {};
    if (::statvfs(at.c_str(), &disk) == 0) {
      if (disk.f_blocks == 0) return std::nullopt;  // No disk at all.
      return DiskRoom{.free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize,
                      .size_bytes = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize};
    }
    if (errno != ENOENT || !at.has_relative_path()) return std::nullopt;
    at = at.parent_path();
  }
}

Status check_room(const std::string& path, uint64_t bytes, std::string_view whose,
                  std::string_view what, uint64_t promised_bytes) {
  auto room = disk_room(path);
  if (!room || bytes == 0) return ok();  // Whoever writes there hears what is wrong.
  room->free_bytes -= std::min(promised_bytes, room->free_bytes);
  if (room->has_room_for(bytes)) return ok();
  const uint64_t usable = room->free_bytes - std::min(room->free_bytes, room->margin_bytes());
  return Error{ErrorCode::kExhausted,
               fmt::format("{} has {} free at {} and {} needs {}; {}", whose, byte_count(usable),
                           path, what, byte_count(bytes), advice_on_exhaustion(ENOSPC))};
}

}  // namespace troupe::cluster

// Whether a disk has room for what is about to be moved to it: looked at before the first byte, so
// that nothing is moved in vain.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::cluster {

struct DiskRoom {
  uint64_t free_bytes = 0;  // That this user may take.
  uint64_t size_bytes = 0;

  // What is left to those who write without asking: logs, the store, recovery points.
  uint64_t margin_bytes() const;
  bool has_room_for(uint64_t bytes) const { return bytes + margin_bytes() <= free_bytes; }
};

// Of the file system on which `path`, or the nearest folder above it that there is, lies. Nothing
// where that cannot be told.
std::optional<DiskRoom> disk_room(const std::string& path);

// kExhausted, with both numbers, when `bytes` have no room at `path`. `whose` disk it is ("this
// host"), and for `what` the room is ("a model"). `promised_bytes` of what is free are others'
// already.
Status check_room(const std::string& path, uint64_t bytes, std::string_view whose,
                  std::string_view what, uint64_t promised_bytes = 0);

}  // namespace troupe::cluster

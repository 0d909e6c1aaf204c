#include "cluster/nodes/disk_room.h"

#include <doctest/doctest.h>

#include "tests/support/small_disk.h"

using namespace troupe;
using namespace troupe::cluster;
using namespace troupe::tests;

TEST_CASE("disk_room: a margin is left, and others' promises count") {
  const auto disk = SmallDisk::mount(10);
  if (!disk) return;
  const std::string path = disk->file("not/there/yet");
  const auto room = disk_room(path);
  REQUIRE(room);
  CHECK(room->size_bytes == 10 << 20);
  CHECK(room->margin_bytes() == room->size_bytes / 50);
  const uint64_t usable = room->free_bytes - room->margin_bytes();
  CHECK(check_room(path, usable, "node b", "the model"));
  const Status full = check_room(path, usable + 1, "node b", "the model");
  REQUIRE_FALSE(full);
  CHECK(full.error().code == ErrorCode::kExhausted);
  CHECK(full.error().message == "node b has 10.3 MB free at " + path +
                                    " and the model needs 10.3 MB; make room on that disk");
  CHECK(check_room(path, usable - 5, "node b", "the model", 5));
  CHECK_FALSE(check_room(path, usable - 5, "node b", "the model", 6));
  // Of a large one the margin is not a share.
  CHECK(DiskRoom{.free_bytes = 1, .size_bytes = uint64_t{1} << 50}.margin_bytes() == 256 << 20);
  CHECK(check_room("/proc/self/none", 1, "node b", "nothing that can be told of"));
}

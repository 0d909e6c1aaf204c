// What a power failure could take: kills leave the system's cache, so only the calls that ask for
// the disk can tell. This program's fdatasync() writes down what it was asked for.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "actors/replay/replay_store.h"
#include "tests/support/store_records.h"
#include "tests/support/temp_dir.h"

namespace {

std::mutex synced_mutex;
std::vector<std::string> synced;

void write_down(int file) {
  std::error_code ignored;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file), ignored);
  const std::string name = path.filename().string();
  const std::lock_guard guard(synced_mutex);
  if (path.extension() == ".log") {
    synced.push_back("log");
  } else {
    synced.push_back(name.substr(0, name.find('-')));  // MANIFEST-000005
  }
}

std::vector<std::string> take_synced() {
  const std::lock_guard guard(synced_mutex);
  return std::exchange(synced, {});
}

}  // namespace

extern "C" int fdatasync(int file) {
  const auto status = static_cast<int>(::syscall(SYS_fdatasync, file));
  const int error = errno;
  write_down(file);
  errno = error;
  return status;
}

namespace troupe::actors {
namespace {

TEST_CASE("replay_store: a commit is answered after its log and then its mark are on the disk") {
  const tests::TempDir dir;
  auto store = ReplayStore::open(dir.file("store"));
  REQUIRE(store);
  const std::vector<std::string> log_then_mark = {"log", "mark"};
  take_synced();
  const auto epoch = (*store)->begin_epoch(1);
  REQUIRE(epoch);
  // The first commit says how long the list of tables is, which has to be on the disk by then.
  CHECK(take_synced() == std::vector<std::string>{"MANIFEST", "log", "mark"});
  for (uint64_t i = 1; i <= 20; ++i) {
    const std::vector<Batch> batches = {tests::numbered_batch(1, *epoch, 2 * i - 1),
                                        tests::numbered_batch(1, *epoch, 2 * i)};
    for (const Status& status : (*store)->commit(batches)) REQUIRE(status);
    CHECK(take_synced() == log_then_mark);
  }
}

}  // namespace
}  // namespace troupe::actors

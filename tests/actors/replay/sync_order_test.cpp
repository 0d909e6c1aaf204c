// What a power failure could take: kills leave the system's cache, so only the calls that ask for
// the disk can tell. This program's fdatasync() writes down what it was asked for, and its pwrite()
// that a mark was written.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <future>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "actors/replay/group_commit.h"
#include "actors/replay/replay_store.h"
#include "tests/support/store_records.h"
#include "tests/support/temp_dir.h"

namespace {

std::mutex calls_mutex;
std::vector<std::string> calls;
std::atomic<bool> fails_next_sync = false;

enum class Call { kSync, kWrite };

void write_down(int file, Call call) {
  std::error_code ignored;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file), ignored);
  const std::string name = path.filename().string();
  const std::lock_guard guard(calls_mutex);
  if (call == Call::kWrite) {
    if (name == "mark") calls.push_back("mark written");
  } else if (path.extension() == ".log") {
    calls.push_back("log");
  } else {
    calls.push_back(name.substr(0, name.find('-')));  // MANIFEST-000005
  }
}

std::vector<std::string> take_calls() {
  const std::lock_guard guard(calls_mutex);
  return std::exchange(calls, {});
}

}  // namespace

extern "C" int fdatasync(int file) {
  const bool fails = fails_next_sync.exchange(false);
  const auto status = fails ? -1 : static_cast<int>(::syscall(SYS_fdatasync, file));
  if (fails) errno = EIO;
  const int error = errno;
  write_down(file, Call::kSync);
  errno = error;
  return status;
}

extern "C" ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  write_down(file, Call::kWrite);
  return ::syscall(SYS_pwrite64, file, bytes, size, offset);
}

namespace troupe::actors {
namespace {

using Calls = std::vector<std::string>;

std::vector<Batch> two_batches(uint64_t epoch, uint64_t i) {
  return {tests::numbered_batch(1, epoch, 2 * i - 1), tests::numbered_batch(1, epoch, 2 * i)};
}

TEST_CASE("replay_store: a commit is answered when its log is on the disk and its mark written") {
  const tests::TempDir dir;
  auto store = ReplayStore::open(dir.file("store"));
  REQUIRE(store);
  take_calls();
  const auto epoch = (*store)->begin_epoch(1);
  REQUIRE(epoch);
  CHECK(take_calls() == Calls{"log", "mark written"});
  for (uint64_t i = 1; i <= 20; ++i) {
    for (const Status& status : (*store)->commit(two_batches(*epoch, i))) REQUIRE(status);
    CHECK(take_calls() == Calls{"log", "mark written"});
    CHECK((*store)->needs_mark_sync());
    if (i % 7 != 0) continue;
    CHECK((*store)->sync_mark());
    CHECK_FALSE((*store)->needs_mark_sync());
    CHECK((*store)->sync_mark());
    CHECK(take_calls() == Calls{"mark"});
  }
  store->reset();
  CHECK(take_calls() == Calls{"mark"});
}

TEST_CASE("replay_store: a mark is synced after so many writes without a rest") {
  const tests::TempDir dir;
  auto store = ReplayStore::open(dir.file("store"));
  REQUIRE(store);
  const auto epoch = (*store)->begin_epoch(1);
  REQUIRE(epoch);
  take_calls();
  for (uint64_t i = 1; i < ReplayStore::kWritesPerMarkSync; ++i) {
    for (const Status& status : (*store)->commit(two_batches(*epoch, i))) REQUIRE(status);
    const bool is_last = i + 1 == ReplayStore::kWritesPerMarkSync;
    CHECK((*store)->needs_mark_sync() == !is_last);
    CHECK(take_calls() ==
          (is_last ? Calls{"log", "mark written", "mark"} : Calls{"log", "mark written"}));
  }
}

TEST_CASE("replay_store: a mark whose sync failed is written anew before it is synced again") {
  const tests::TempDir dir;
  auto store = ReplayStore::open(dir.file("store"));
  REQUIRE(store);
  const auto epoch = (*store)->begin_epoch(1);
  REQUIRE(epoch);
  fails_next_sync = true;
  CHECK_FALSE((*store)->sync_mark());
  take_calls();
  CHECK((*store)->sync_mark());
  CHECK(take_calls().empty());
  for (const Status& status : (*store)->commit(two_batches(*epoch, 1))) REQUIRE(status);
  CHECK((*store)->sync_mark());
  const Calls made = take_calls();
  const auto synced = std::find(made.begin(), made.end(), "mark");
  REQUIRE(synced != made.end());
  CHECK(std::find(made.begin(), synced, "mark written") != synced);
}

TEST_CASE("replay_store: who opens a store again syncs the mark of one who was killed") {
  const tests::TempDir dir;
  auto store = ReplayStore::open(dir.file("store"));
  REQUIRE(store);
  REQUIRE((*store)->begin_epoch(1));
  // The file system's view at this moment is what a kill leaves.
  std::filesystem::copy(dir.file("store"), dir.file("left"),
                        std::filesystem::copy_options::recursive);
  take_calls();
  auto opened = ReplayStore::open(dir.file("left"));
  REQUIRE(opened);
  // What it finds may be in memory only, even after a sync.
  Calls made = take_calls();
  std::erase_if(made, [](const std::string& call) { return call.rfind("mark", 0) != 0; });
  CHECK(made == Calls{"mark", "mark written", "mark"});
  CHECK_FALSE((*opened)->needs_mark_sync());
}

TEST_CASE("group_commit: the mark is synced when the store rests") {
  const tests::TempDir dir;
  auto store = ReplayStore::open(dir.file("store"));
  REQUIRE(store);
  GroupCommit commits(*std::move(store));
  take_calls();
  std::promise<bool> is_begun;
  commits.begin_epoch(
      1, [&](const Result<uint64_t>& epoch) { is_begun.set_value(static_cast<bool>(epoch)); });
  REQUIRE(is_begun.get_future().get());
  Calls made;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::count(made.begin(), made.end(), "mark") == 0 &&
         std::chrono::steady_clock::now() < deadline) {
    ::poll(nullptr, 0, 1);
    for (std::string& call : take_calls()) made.push_back(std::move(call));
  }
  CHECK(made == Calls{"log", "mark written", "mark"});
}

}  // namespace
}  // namespace troupe::actors

// A real disk that is full, and has room again.
#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "actors/replay/group_commit.h"
#include "tests/support/process.h"
#include "tests/support/small_disk.h"
#include "tests/support/store_records.h"

namespace troupe::actors {
namespace {

using namespace std::chrono_literals;
using tests::numbered_batch;
using tests::numbered_text;
using tests::SmallDisk;
using tests::text_of;

constexpr uint64_t kJob = 7;
constexpr int kMegabytes = 16;
// More than a database can free by being opened again, on a disk of that size.
constexpr size_t kTooLarge = 6 << 20;

std::unique_ptr<ReplayStore> opened(const std::string& folder) {
  auto store = ReplayStore::open(folder);
  REQUIRE_MESSAGE(store, (store ? "" : store.error().message));
  return *std::move(store);
}

// A numbered batch that takes room.
Batch large_batch(uint64_t number, size_t bytes) {
  Batch batch = numbered_batch(kJob, 0, number);
  batch.writes.push_back(tests::write(kJob, RecordKind::kPoint, 1, std::string(bytes, 'x')));
  return batch;
}

bool has_all(const ReplayStore& store, uint64_t count) {
  return tests::has_all(store, kJob, count);
}

TEST_CASE("replay_store: wherever a full disk stops it, nothing is lost and it goes on") {
  const auto disk = SmallDisk::mount(kMegabytes);
  if (!disk) return;
  const std::string folder = disk->file("store");
  uint64_t count = 0;
  auto store = opened(folder);
  // What is left decides which of its files is the first to have no room.
  for (size_t pages_left = 0; pages_left < 40; pages_left += 2) {
    CAPTURE(pages_left);
    disk->fill(pages_left * 4096);
    Error error;
    while (error.message.empty()) {
      const Batch batch = large_batch(count + 1, 3000);
      if (const Status status = store->commit({&batch, 1})[0]; status) {
        ++count;
      } else {
        error = status.error();
      }
      REQUIRE(count < 10'000);
    }
    CHECK(error.code == ErrorCode::kExhausted);
    CHECK(error.message.find(folder) != std::string::npos);
    CHECK(error.message.find("make room") != std::string::npos);
    const size_t num_files = tests::tree(disk->path()).size();
    for (int i = 0; i < 5; ++i) {
      // Opening again may have freed something.
      disk->fill();
      const Batch batch = large_batch(count + 1, kTooLarge);
      CHECK_FALSE(store->commit({&batch, 1})[0]);
      CHECK(has_all(*store, count));
    }
    // Trying leaves nothing behind, however often.
    CHECK(tests::tree(disk->path()).size() <= num_files + 3);
    if (pages_left % 8 == 0) {
      // Nor does it matter whether the one that met the full disk still lives.
      store.reset();
      disk->empty();
      store = opened(folder);
      // What was refused may be there after all, but only that.
      if (has_all(*store, count + 1)) ++count;
    } else {
      disk->empty();
    }
    const Batch batch = numbered_batch(kJob, 0, count + 1);
    CHECK(store->commit({&batch, 1})[0]);
    ++count;
    CHECK(has_all(*store, count));
  }
  CHECK(store->list(kJob, RecordKind::kPoint)->size() == 1);
  store.reset();
  CHECK(has_all(*opened(folder), count));
}

// What became of each batch, in the order of the answers.
class Answers {
 public:
  std::function<void(Status)> of(uint64_t number) {
    return [this, number](const Status& status) {
      const std::lock_guard guard(mutex_);
      all_.emplace_back(number, status ? 0 : static_cast<int>(status.error().code));
    };
  }
  std::vector<std::pair<uint64_t, int>> all() const {
    const std::lock_guard guard(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_{};
  std::vector<std::pair<uint64_t, int>> all_{};
};

// A promise that is kept when a line with `text` is noted.
struct Noted {
  std::string text{};
  std::promise<void> promise{};
};

struct Notes {
  std::vector<std::string> lines{};
  Noted full{.text = "nothing can be recorded"};
  Noted room{.text = "room again"};

  std::function<void(const std::string&)> sink() {
    return [this](const std::string& line) {
      lines.push_back(line);
      for (Noted* one : {&full, &room}) {
        if (line.find(one->text) != std::string::npos) one->promise.set_value();
      }
    };
  }
};

bool comes(Noted& noted) {
  return noted.promise.get_future().wait_for(20s) == std::future_status::ready;
}

constexpr auto kFull = static_cast<int>(ErrorCode::kExhausted);

TEST_CASE("group_commit: a full disk is waited for, in order; who can ask again is refused") {
  const auto disk = SmallDisk::mount(kMegabytes);
  if (!disk) return;
  Answers answers;
  Notes notes;
  {
    GroupCommit commits(opened(disk->file("store")), GroupCommit::kQueueBytesMax, notes.sink());
    disk->fill();
    REQUIRE(commits.submit(large_batch(1, kTooLarge), answers.of(1)));
    REQUIRE(comes(notes.full));
    const auto refused =
        commits.submit(numbered_batch(kJob, 0, 9), answers.of(9), WhenFull::kRefuse);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kExhausted);
    CHECK(refused.error().message.find("make room") != std::string::npos);
    CHECK(commits.waits_for());
    std::promise<uint64_t> epoch;
    commits.begin_epoch(kJob, [&](const Result<uint64_t>& begun) { epoch.set_value(*begun); });
    Batch later = numbered_batch(kJob, 1, 2);
    REQUIRE(commits.submit(later, answers.of(2)));
    CHECK(answers.all().empty());
    disk->empty();
    REQUIRE(comes(notes.room));
    CHECK(epoch.get_future().get() == 1);
    std::promise<void> read;
    commits.read([&](const ReplayStore& store) {
      CHECK(has_all(store, 2));
      read.set_value();
    });
    read.get_future().wait();
    CHECK(answers.all() == std::vector<std::pair<uint64_t, int>>{{1, 0}, {2, 0}});
    CHECK_FALSE(commits.waits_for());
    CHECK(commits.submit(numbered_batch(kJob, 1, 3), answers.of(3), WhenFull::kRefuse));
  }
  CHECK(notes.lines.size() == 2);
  CHECK(has_all(*opened(disk->file("store")), 3));
}

TEST_CASE("group_commit: who is refused at the full disk itself is told, the others wait") {
  const auto disk = SmallDisk::mount(kMegabytes);
  if (!disk) return;
  Answers answers;
  Notes notes;
  GroupCommit commits(opened(disk->file("store")), GroupCommit::kQueueBytesMax, notes.sink());
  std::promise<void> held;
  std::promise<void> release;
  commits.read([&](const ReplayStore&) {
    held.set_value();
    release.get_future().wait();
  });
  held.get_future().wait();
  disk->fill();
  REQUIRE(commits.submit(large_batch(1, kTooLarge), answers.of(1)));
  REQUIRE(commits.submit(numbered_batch(kJob, 0, 9), answers.of(9), WhenFull::kRefuse));
  REQUIRE(commits.submit(numbered_batch(kJob, 0, 2), answers.of(2)));
  release.set_value();
  REQUIRE(comes(notes.full));
  CHECK(answers.all() == std::vector<std::pair<uint64_t, int>>{{9, kFull}});
  disk->empty();
  REQUIRE(comes(notes.room));
  CHECK(answers.all() == std::vector<std::pair<uint64_t, int>>{{9, kFull}, {1, 0}, {2, 0}});
}

TEST_CASE("group_commit: the end does not wait for a full disk") {
  const auto disk = SmallDisk::mount(kMegabytes);
  if (!disk) return;
  Answers answers;
  Notes notes;
  {
    GroupCommit commits(opened(disk->file("store")), GroupCommit::kQueueBytesMax, notes.sink());
    REQUIRE(commits.submit(numbered_batch(kJob, 0, 1), answers.of(1)));
    commits.read([&](const ReplayStore&) { disk->fill(); });
    REQUIRE(commits.submit(large_batch(2, kTooLarge), answers.of(2)));
    commits.begin_epoch(kJob, [&](const Result<uint64_t>& begun) { CHECK_FALSE(begun); });
    REQUIRE(comes(notes.full));
  }
  CHECK(answers.all() == std::vector<std::pair<uint64_t, int>>{{1, 0}, {2, kFull}});
  disk->empty();
  CHECK(has_all(*opened(disk->file("store")), 1));
}

}  // namespace
}  // namespace troupe::actors

#include "actors/replay/group_commit.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/store_records.h"
#include "tests/support/temp_dir.h"

namespace troupe::actors {
namespace {

using tests::numbered_batch;

std::unique_ptr<ReplayStore> opened(const tests::TempDir& dir) {
  auto store = ReplayStore::open(dir.file("store"));
  REQUIRE(store);
  return *std::move(store);
}

// Waits until everything submitted before is done.
void settle(GroupCommit& commits) {
  std::promise<void> seen;
  commits.read([&seen](const ReplayStore&) { seen.set_value(); });
  seen.get_future().wait();
}

TEST_CASE("group_commit: many submitters share few syncs, each keeps its order") {
  constexpr uint64_t kSubmitters = 8;
  constexpr uint64_t kEach = 500;
  const tests::TempDir dir;
  GroupCommit commits(opened(dir));
  std::vector<std::vector<uint64_t>> done(kSubmitters);  // Written by the writer thread only.
  std::atomic<int> num_failed = 0;
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> submitters;
  for (uint64_t job = 0; job < kSubmitters; ++job) {
    submitters.emplace_back([&, job] {
      for (uint64_t i = 1; i <= kEach; ++i) {
        const Status status =
            commits.submit(numbered_batch(job, 0, i), [&, job, i](const Status& result) {
              if (!result) ++num_failed;
              done[job].push_back(i);
            });
        if (!status) ++num_failed;
      }
    });
  }
  for (auto& submitter : submitters) submitter.join();
  settle(commits);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CHECK(num_failed == 0);
  CHECK(commits.store().num_commits() == kSubmitters * kEach);
  for (uint64_t job = 0; job < kSubmitters; ++job) {
    REQUIRE(done[job].size() == kEach);
    for (uint64_t i = 0; i < kEach; ++i) CHECK(done[job][i] == i + 1);
    CHECK(commits.store().list(job, RecordKind::kGroup)->size() == kEach);
  }
  CHECK(commits.num_syncs() < kSubmitters * kEach / 4);
  MESSAGE(commits.num_syncs() << " syncs for " << kSubmitters * kEach << " batches, "
                              << kSubmitters * kEach / seconds << " batches/s");
}

TEST_CASE("group_commit: a read sees what was submitted before it") {
  const tests::TempDir dir;
  GroupCommit commits(opened(dir));
  for (uint64_t i = 1; i <= 20; ++i) {
    REQUIRE(commits.submit(numbered_batch(1, 0, i), [](const Status&) {}));
    std::promise<size_t> seen;
    commits.read([&seen](const ReplayStore& store) {
      seen.set_value(store.list(1, RecordKind::kGroup)->size());
    });
    CHECK(seen.get_future().get() == i);
  }
}

TEST_CASE("group_commit: an epoch takes its place in the order, and fences who comes after") {
  const tests::TempDir dir;
  GroupCommit commits(opened(dir));
  std::vector<std::string> events;  // Of the writer thread.
  const auto note = [&events](const char* name) {
    return [&events, name](const Status& status) {
      events.push_back(std::string(name) + (status ? " ok" : " refused"));
    };
  };
  REQUIRE(commits.submit(numbered_batch(1, 0, 1), note("before")));
  commits.begin_epoch(1, [&events](const Result<uint64_t>& epoch) {
    events.push_back("epoch " + std::to_string(*epoch));
  });
  REQUIRE(commits.submit(numbered_batch(1, 0, 2), note("old")));
  REQUIRE(commits.submit(numbered_batch(1, 1, 2), note("new")));
  settle(commits);
  CHECK(events == std::vector<std::string>{"before ok", "epoch 1", "old refused", "new ok"});
}

TEST_CASE("group_commit: a full queue refuses, and takes more when it has emptied") {
  const tests::TempDir dir;
  GroupCommit commits(opened(dir), 4000);
  std::promise<void> held;
  std::promise<void> release;
  commits.read([&](const ReplayStore&) {
    held.set_value();
    release.get_future().wait();
  });
  held.get_future().wait();
  uint64_t num_accepted = 0;
  uint64_t num_done = 0;  // Of the writer thread.
  while (true) {
    const Status status = commits.submit(numbered_batch(1, 0, num_accepted + 1),
                                         [&num_done](const Status&) { ++num_done; });
    if (!status) {
      CHECK(status.error().code == ErrorCode::kOverloaded);
      break;
    }
    REQUIRE(++num_accepted < 100);
  }
  CHECK(num_accepted > 1);
  release.set_value();
  settle(commits);
  CHECK(num_done == num_accepted);
  CHECK(commits.submit(numbered_batch(1, 0, num_accepted + 1), [](const Status&) {}));
}

TEST_CASE("group_commit: the end drains, also what callbacks submit") {
  const tests::TempDir dir;
  uint64_t num_done = 0;
  {
    GroupCommit commits(opened(dir));
    for (uint64_t i = 1; i <= 50; ++i) {
      REQUIRE(commits.submit(numbered_batch(1, 0, i), [&, i](const Status& first) {
        num_done += static_cast<bool>(first);
        (void)commits.submit(numbered_batch(2, 0, i), [&num_done](const Status& second) {
          num_done += static_cast<bool>(second);
        });
      }));
    }
  }
  CHECK(num_done == 100);
  const auto store = opened(dir);
  CHECK(store->list(1, RecordKind::kGroup)->size() == 50);
  CHECK(store->list(2, RecordKind::kGroup)->size() == 50);
}

}  // namespace
}  // namespace troupe::actors

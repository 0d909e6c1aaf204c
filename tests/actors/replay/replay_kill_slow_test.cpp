// A writer that is killed at random moments, again and again, on one store. The parent never opens
// the store, so that a fork carries no thread or lock of the database with it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "actors/replay/replay_store.h"
#include "tests/support/store_records.h"
#include "tests/support/temp_dir.h"

namespace troupe::actors {
namespace {

using tests::numbered_batch;
using tests::numbered_text;
using tests::text_of;

constexpr uint64_t kJob = 1;

enum ChildExit { kCannotOpen = 10, kWrongRecords, kCannotCommit, kParentIsGone };

void report(int pipe, uint64_t number) {
  if (::write(pipe, &number, sizeof(number)) != sizeof(number)) ::_exit(kParentIsGone);
}

// Checks that the records are 1 to n, each once, in order, and says n. Then commits on, and says
// each number once it is acknowledged.
[[noreturn]] void write_until_killed(const std::string& folder, int pipe, uint32_t seed) {
  auto opened = ReplayStore::open(folder);
  if (!opened) ::_exit(kCannotOpen);
  ReplayStore& store = **opened;
  const auto records = store.list(kJob, RecordKind::kGroup);
  if (!records) ::_exit(kCannotOpen);
  uint64_t number = 0;
  uint64_t last_commit = 0;
  for (const StoredRecord& record : *records) {
    ++number;
    const bool is_right = record.key.number == number && record.commit > last_commit &&
                          text_of(record.value) == numbered_text(number);
    if (!is_right) ::_exit(kWrongRecords);
    last_commit = record.commit;
  }
  report(pipe, number);

  const auto epoch = store.begin_epoch(kJob);
  if (!epoch) ::_exit(kCannotCommit);
  std::mt19937 random(seed);
  while (true) {
    std::vector<Batch> batches(1 + random() % 4);
    for (Batch& batch : batches) {
      batch = numbered_batch(kJob, *epoch, ++number);
      // Large values in few places, so that logs and tables change while the history stays small.
      if (random() % 4 == 0) {
        batch.writes.push_back(tests::write(kJob, RecordKind::kPoint, random() % 4,
                                            std::string(random() % 500000, 'x')));
      }
    }
    for (const Status& status : store.commit(batches)) {
      if (!status) ::_exit(kCannotCommit);
    }
    for (size_t i = batches.size(); i-- > 0;) report(pipe, number - i);
  }
}

// False at the end of the pipe.
bool next(int pipe, uint64_t& number) {
  return ::read(pipe, &number, sizeof(number)) == sizeof(number);
}

TEST_CASE("replay_store: 300 kills lose nothing that was acknowledged and repeat nothing") {
  constexpr int kKills = 300;
  const tests::TempDir dir;
  std::mt19937 random(20250121);
  uint64_t acknowledged = 0;
  uint64_t num_in_flight_found = 0;
  for (int i = 0; i < kKills; ++i) {
    CAPTURE(i);
    int ends[2] = {};
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const auto seed = static_cast<uint32_t>(random());
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(dir.file("store"), ends[1], seed);
    }
    ::close(ends[1]);
    // One in eight is killed while it opens the store.
    uint64_t number = 0;
    if (random() % 8 != 0 && next(ends[0], number)) {
      CHECK(number >= acknowledged);
      num_in_flight_found += number - acknowledged;
      acknowledged = number;
      for (auto left = random() % 40; left > 0 && next(ends[0], number); --left) {
        CHECK(number == acknowledged + 1);
        acknowledged = number;
      }
    }
    // A moment that is no round number of acknowledgements.
    volatile uint64_t spin = random() % 2000000;
    while (spin > 0) spin = spin - 1;
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE_MESSAGE(WIFSIGNALED(status), "the writer ended with " << WEXITSTATUS(status));
    // What it said before it died counts.
    while (next(ends[0], number)) {
      if (number <= acknowledged) continue;
      acknowledged = number;
    }
    ::close(ends[0]);
  }
  CHECK(acknowledged > 1000);
  MESSAGE(kKills << " kills, " << acknowledged << " acknowledged, " << num_in_flight_found
                 << " found that nobody had been told of");
}

}  // namespace
}  // namespace troupe::actors

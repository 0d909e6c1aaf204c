// A real database on real files.
#include "actors/replay/replay_store.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/store_records.h"
#include "tests/support/temp_dir.h"

namespace troupe::actors {
namespace {

namespace fs = std::filesystem;
using tests::numbered_batch;
using tests::numbered_text;
using tests::text_of;
using tests::write;

constexpr uint64_t kJob = 7;

std::unique_ptr<ReplayStore> opened(const std::string& folder) {
  auto store = ReplayStore::open(folder);
  REQUIRE_MESSAGE(store, (store ? "" : store.error().message));
  return *std::move(store);
}

Error refused(const std::string& folder) {
  const auto store = ReplayStore::open(folder);
  REQUIRE_FALSE(store);
  return store.error();
}

bool commit(ReplayStore& store, const Batch& batch) {
  return static_cast<bool>(store.commit({&batch, 1})[0]);
}

// Numbers 1 to `count`, one commit each.
void fill(const std::string& folder, uint64_t count) {
  auto store = opened(folder);
  const auto epoch = store->begin_epoch(kJob);
  REQUIRE(epoch);
  for (uint64_t i = 1; i <= count; ++i) REQUIRE(commit(*store, numbered_batch(kJob, *epoch, i)));
}

bool has_all(const ReplayStore& store, uint64_t count) {
  return tests::has_all(store, kJob, count);
}

std::vector<std::string> texts(const Result<std::vector<StoredRecord>>& records) {
  REQUIRE(records);
  std::vector<std::string> found;
  for (const StoredRecord& record : *records) found.push_back(text_of(record.value));
  return found;
}

// The newest file with this ending; RocksDB numbers them.
std::string newest(const std::string& folder, const std::string& ending) {
  std::string found;
  for (const auto& path : tests::tree(folder)) {
    if (fs::path(path).extension() == ending && fs::file_size(path) > 0) found = path;
  }
  REQUIRE_FALSE(found.empty());
  return found;
}

TEST_CASE("replay_store: a batch is there as a whole, ordered, and found by key") {
  const tests::TempDir dir;
  auto store = opened(dir.file("store"));
  CHECK(store->num_commits() == 0);
  const auto epoch = store->begin_epoch(kJob);
  REQUIRE(epoch);
  CHECK(*epoch == 1);
  const Batch batch{.job = kJob,
                    .epoch = *epoch,
                    .writes = {write(kJob, RecordKind::kGroup, 256, "later round"),
                               write(kJob, RecordKind::kGroup, 2, "second", 1),
                               write(kJob, RecordKind::kGroup, 2, "first", 0),
                               write(kJob, RecordKind::kStep, 1, "step"),
                               write(kJob, RecordKind::kJob, 0, "job")}};
  REQUIRE(commit(*store, batch));
  CHECK(texts(store->list(kJob, RecordKind::kGroup)) ==
        std::vector<std::string>{"first", "second", "later round"});
  CHECK(texts(store->list(kJob, RecordKind::kGroup, 3)) == std::vector<std::string>{"later round"});
  CHECK(texts(store->list(kJob, RecordKind::kGroup, 0, 256)).size() == 2);
  CHECK(texts(store->list(kJob, RecordKind::kGroup, 5, 5)).empty());
  CHECK(texts(store->list(kJob + 1, RecordKind::kGroup)).empty());

  const auto step = store->find({.job = kJob, .kind = RecordKind::kStep, .number = 1});
  REQUIRE((step && *step));
  CHECK(text_of((*step)->value) == "step");
  CHECK((*step)->epoch == 1);
  CHECK((*step)->commit == 2);
  CHECK(store->num_commits() == 2);
  const auto missing = store->find({.job = kJob, .kind = RecordKind::kStep, .number = 2});
  REQUIRE(missing);
  CHECK_FALSE(*missing);
}

TEST_CASE("replay_store: a range is forgotten before the batch's own writes") {
  const tests::TempDir dir;
  auto store = opened(dir.file("store"));
  for (uint64_t i = 1; i <= 5; ++i) REQUIRE(commit(*store, numbered_batch(kJob, 0, i)));
  const Batch batch{.job = kJob,
                    .writes = {write(kJob, RecordKind::kGroup, 3, "again")},
                    .erases = {{.kind = RecordKind::kGroup, .first = 2, .end = 5}}};
  REQUIRE(commit(*store, batch));
  const std::vector<std::string> left = {numbered_text(1), "again", numbered_text(5)};
  CHECK(texts(store->list(kJob, RecordKind::kGroup)) == left);
  store.reset();
  CHECK(texts(opened(dir.file("store"))->list(kJob, RecordKind::kGroup)) == left);
}

TEST_CASE("replay_store: jobs are those with a job record, whatever their numbers") {
  const tests::TempDir dir;
  auto store = opened(dir.file("store"));
  const std::vector<uint64_t> with_record = {0, 1, 255, 256, uint64_t{0x63} << 56, UINT64_MAX};
  for (const uint64_t job : with_record) {
    REQUIRE(commit(*store, {.job = job, .writes = {write(job, RecordKind::kJob, 0, "job")}}));
    REQUIRE(store->begin_epoch(job));
  }
  REQUIRE(commit(*store, numbered_batch(77, 0, 1)));
  const auto jobs = store->jobs();
  REQUIRE(jobs);
  CHECK(*jobs == with_record);
}

TEST_CASE("replay_store: what was committed is there after reopening, and numbers go on") {
  const tests::TempDir dir;
  fill(dir.file("store"), 20);
  auto store = opened(dir.file("store"));
  CHECK(has_all(*store, 20));
  CHECK(store->num_commits() == 21);
  REQUIRE(commit(*store, numbered_batch(kJob, 1, 21)));
  CHECK(has_all(*store, 21));
}

TEST_CASE("replay_store: epochs grow over reopening, and a fenced writer alone is refused") {
  const tests::TempDir dir;
  fill(dir.file("store"), 1);
  auto store = opened(dir.file("store"));
  const auto epoch = store->begin_epoch(kJob);
  REQUIRE(epoch);
  CHECK(*epoch == 2);
  const std::vector<Batch> batches = {numbered_batch(kJob, 2, 2), numbered_batch(kJob, 1, 99),
                                      numbered_batch(kJob, 3, 98), numbered_batch(kJob + 1, 0, 1),
                                      numbered_batch(kJob, 2, 3)};
  const uint64_t num_syncs = store->num_syncs();
  const auto statuses = store->commit(batches);
  CHECK(store->num_syncs() == num_syncs + 1);
  REQUIRE(statuses.size() == 5);
  CHECK(statuses[0]);
  CHECK(statuses[3]);
  CHECK(statuses[4]);
  for (const size_t i : {1, 2}) {
    REQUIRE_FALSE(statuses[i]);
    CHECK(statuses[i].error().code == ErrorCode::kStaleEpoch);
  }
  CHECK(has_all(*store, 3));
  store.reset();
  store = opened(dir.file("store"));
  CHECK(*store->begin_epoch(kJob) == 3);
  CHECK_FALSE(commit(*store, numbered_batch(kJob, 2, 4)));
}

TEST_CASE("replay_store: a call larger than one group is committed in order") {
  const tests::TempDir dir;
  auto store = opened(dir.file("store"));
  std::vector<Batch> batches;
  for (uint64_t i = 1; i <= 5; ++i) {
    batches.push_back(
        {.job = kJob, .writes = {write(kJob, RecordKind::kPoint, i, std::string(12 << 20, 'x'))}});
  }
  for (const Status& status : store->commit(batches)) CHECK(status);
  CHECK(store->num_syncs() == 2);
  CHECK(store->num_commits() == 5);
  CHECK(store->list(kJob, RecordKind::kPoint)->size() == 5);
}

TEST_CASE("replay_store: a second opener is refused, in this process and in another") {
  const tests::TempDir dir;
  const auto store = opened(dir.file("store"));
  const Error error = refused(dir.file("store"));
  CHECK(error.code == ErrorCode::kInvalidArgument);
  CHECK(error.message.find("in use by another process") != std::string::npos);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(ReplayStore::open(dir.file("store")) ? 1 : 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("replay_store: a folder that cannot be made is the user's to mend") {
  const tests::TempDir dir;
  tests::write_text(dir.file("file"), "");
  CHECK(refused(dir.file("file") + "/store").code == ErrorCode::kInvalidArgument);
}

TEST_CASE("replay_store: one torn slot of the mark is survived, two are damage") {
  const tests::TempDir dir;
  fill(dir.file("store"), 6);
  const std::string mark = dir.file("store") + "/mark";
  const std::string whole = tests::contents(mark);
  REQUIRE(whole.size() == 1024);
  for (const size_t slot : {0, 512}) {
    std::string torn = whole;
    torn.replace(slot + 10, 100, std::string(100, '\0'));
    tests::write_text(mark, torn);
    CHECK(has_all(*opened(dir.file("store")), 6));
  }
  std::string torn = whole;
  torn[9] ^= 1;
  torn[512 + 40] ^= 1;
  tests::write_text(mark, torn);
  CHECK(refused(dir.file("store")).code == ErrorCode::kCorruption);
  tests::write_text(mark, "");
  CHECK(refused(dir.file("store")).code == ErrorCode::kCorruption);
  fs::remove(mark);
  const Error error = refused(dir.file("store"));
  CHECK(error.code == ErrorCode::kCorruption);
  CHECK(error.message.find("mark is missing") != std::string::npos);
  tests::write_text(mark, whole);
  CHECK(has_all(*opened(dir.file("store")), 6));
}

TEST_CASE("replay_store: a database from an older copy is refused and says what is missing") {
  const tests::TempDir dir;
  fill(dir.file("store"), 5);
  fs::copy(dir.file("store") + "/db", dir.file("copy"), fs::copy_options::recursive);
  {
    auto store = opened(dir.file("store"));
    for (uint64_t i = 6; i <= 9; ++i) REQUIRE(commit(*store, numbered_batch(kJob, 1, i)));
  }
  fs::remove_all(dir.file("store") + "/db");
  fs::copy(dir.file("copy"), dir.file("store") + "/db", fs::copy_options::recursive);
  const Error error = refused(dir.file("store"));
  CHECK(error.code == ErrorCode::kCorruption);
  CHECK(error.message.find("4 acknowledged commits are missing") != std::string::npos);
  // No database at all is the same damage, not a new store.
  fs::remove_all(dir.file("store") + "/db");
  CHECK(refused(dir.file("store")).message.find("10 acknowledged") != std::string::npos);
}

// Flips bits and cuts the newest file with this ending at many places. Each time the store is
// refused, or its list is, or everything is there. Returns how often the damage was found.
int num_found_with_damage(const std::string& ending, uint64_t count, size_t num_places) {
  const tests::TempDir dir;
  fill(dir.file("store"), count);
  // Opening again makes a table of the log.
  if (ending == ".sst") opened(dir.file("store"));
  const std::string name =
      fs::relative(newest(dir.file("store"), ending), dir.file("store")).string();
  const std::string whole = tests::contents(dir.file("store") + "/" + name);
  int num_found = 0;
  for (size_t i = 0; i < 2 * num_places; ++i) {
    const size_t at = (i / 2) * whole.size() / num_places;
    std::string damaged = whole;
    if (i % 2 == 0) {
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (i / 2 % 8)));
    } else {
      damaged.resize(at);
    }
    fs::remove_all(dir.file("damaged"));
    fs::copy(dir.file("store"), dir.file("damaged"), fs::copy_options::recursive);
    tests::write_text(dir.file("damaged") + "/" + name, damaged);
    const auto store = ReplayStore::open(dir.file("damaged"));
    CAPTURE(at);
    if (store) {
      const auto records = (*store)->list(kJob, RecordKind::kGroup);
      num_found += !records;
      if (records) CHECK(has_all(**store, count));
      continue;
    }
    CHECK(store.error().code == ErrorCode::kCorruption);
    ++num_found;
    // Refusing changes nothing, so that whoever mends it has everything there is.
    CHECK(tests::contents(dir.file("damaged") + "/" + name) == damaged);
  }
  return num_found;
}

TEST_CASE("replay_store: a damaged file never gives fewer records than were acknowledged") {
  struct Damage {
    std::string ending{};
    int num_found_min = 0;  // Of 120; a table has parts that no read needs.
  };
  for (const Damage& damage : {Damage{".log", 100}, Damage{".sst", 40}}) {
    const int num_found = num_found_with_damage(damage.ending, 20, 60);
    MESSAGE(damage.ending << ": found " << num_found << " of 120");
    CHECK(num_found >= damage.num_found_min);
  }
}

TEST_CASE("replay_store: a list of tables that was cut is refused, wherever the cut is") {
  const tests::TempDir dir;
  const std::string folder = dir.file("store");
  fill(folder, 5);
  // Five are in a table, and the last commit is in the log: that alone looks like a whole history.
  REQUIRE(commit(*opened(folder), numbered_batch(kJob, 1, 6)));
  std::string manifest = tests::contents(folder + "/db/CURRENT");
  manifest = folder + "/db/" + manifest.substr(0, manifest.find('\n'));
  const std::string whole = tests::contents(manifest);
  for (size_t i = 0; i < 40; ++i) {
    const size_t length = i * whole.size() / 40;
    CAPTURE(length);
    tests::write_text(manifest, whole.substr(0, length));
    CHECK(refused(folder).code == ErrorCode::kCorruption);
  }
  tests::write_text(manifest, whole);
  CHECK(has_all(*opened(folder), 6));
}

std::vector<std::string> logs_in(const std::string& folder) {
  std::vector<std::string> logs;
  for (const auto& path : tests::tree(folder)) {
    if (fs::path(path).extension() == ".log") logs.push_back(path);
  }
  return logs;
}

TEST_CASE("replay_store: a damaged log is found also when it is not the last") {
  const tests::TempDir dir;
  const std::string folder = dir.file("store");
  uint64_t count = 0;
  {
    auto store = opened(folder);
    // Tables cannot be written where folders are, so the full log stays beside a new one, and
    // nothing is written into that.
    for (int i = 0; i < 100; ++i) {
      fs::create_directory(folder + "/db/" + fmt::format("{:06}.sst", i));
    }
    const auto next = [&] {
      const std::string text(3 << 20, static_cast<char>('a' + count));
      return commit(*store,
                    {.job = kJob, .writes = {write(kJob, RecordKind::kPoint, count + 1, text)}});
    };
    while (next()) REQUIRE(++count < 20);
    REQUIRE(count > 2);
    REQUIRE(logs_in(folder).size() == 2);
    REQUIRE(fs::file_size(logs_in(folder)[1]) == 0);
  }
  for (int i = 0; i < 100; ++i) fs::remove(folder + "/db/" + fmt::format("{:06}.sst", i));
  const std::string name = fs::relative(logs_in(folder)[0], folder).string();
  REQUIRE(fs::file_size(folder + "/" + name) > 3 << 20);

  const auto copied = [&] {
    fs::remove_all(dir.file("damaged"));
    fs::copy(folder, dir.file("damaged"), fs::copy_options::recursive);
    return dir.file("damaged") + "/" + name;
  };
  copied();
  CHECK(opened(dir.file("damaged"))->list(kJob, RecordKind::kPoint)->size() == count);
  fs::remove(copied());
  CHECK(refused(dir.file("damaged")).code == ErrorCode::kCorruption);
  for (const uint64_t part : {0, 1, 2, 3}) {
    const std::string log = copied();
    fs::resize_file(log, fs::file_size(log) * part / 4);
    const Error error = refused(dir.file("damaged"));
    CHECK(error.code == ErrorCode::kCorruption);
    CHECK(error.message.find("acknowledged commits are missing") != std::string::npos);
  }
}

TEST_CASE("replay_store: without a file for its table it refuses in words, and goes on with one") {
  const tests::TempDir dir;
  auto store = ReplayStore::open(dir.file("store"), {.table_bytes = 64 << 10});
  REQUIRE(store);
  REQUIRE((*store)->begin_epoch(kJob));
  uint64_t number = 0;
  const auto next = [&] {
    const std::string text(10'000, 'x');
    const Batch batch{
        .job = kJob, .epoch = 1, .writes = {write(kJob, RecordKind::kPoint, ++number, text)}};
    return (*store)->commit({&batch, 1})[0];
  };
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int highest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(highest >= 0);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(highest);
  ::close(highest);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  Status refused = ok();
  for (int i = 0; i < 40 && refused; ++i) refused = next();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kExhausted);
  CHECK_MESSAGE(refused.error().message.find("Too many open files") != std::string::npos,
                refused.error().message);
  CHECK(refused.error().message.find("ulimit -n") != std::string::npos);
  const uint64_t num_acknowledged = number - 1;
  CHECK(num_acknowledged > 3);
  CHECK(next());
  CHECK((*store)->list(kJob, RecordKind::kPoint)->size() == num_acknowledged + 1);
}

TEST_CASE("replay_store: a full disk refuses new commits, keeps reads, and is survived") {
  const tests::TempDir dir;
  const std::string folder = dir.file("store");
  fill(folder, 3);
  auto store = opened(folder);
  // Half of what is written fits: a torn record in the log.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old_action = ::signal(SIGXFSZ, SIG_IGN);
  rlimit full = before;
  full.rlim_cur = 40000;
  const Batch large{.job = kJob,
                    .epoch = 1,
                    .writes = {write(kJob, RecordKind::kPoint, 1, std::string(100000, 'x'))}};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  const std::vector<Batch> batches = {large, numbered_batch(kJob, 1, 4)};
  const auto statuses = store->commit(batches);
  // Not even opening it again works.
  full.rlim_cur = 1;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  const bool is_committed = commit(*store, numbered_batch(kJob, 1, 4));
  const bool has_old = has_all(*store, 3);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, old_action);
  for (const Status& status : statuses) {
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kInternal);
    CHECK(status.error().message.find(folder) != std::string::npos);
    MESSAGE(status.error().message);
  }
  CHECK_FALSE(is_committed);
  CHECK(has_old);

  CHECK(commit(*store, numbered_batch(kJob, 1, 4)));
  CHECK(has_all(*store, 4));
  CHECK(store->list(kJob, RecordKind::kPoint)->empty());
  store.reset();
  CHECK(has_all(*opened(folder), 4));
}

TEST_CASE("replay_store: opening and syncing are quick") {
  const tests::TempDir dir;
  using Clock = std::chrono::steady_clock;
  const auto ms = [](Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  };
  auto start = Clock::now();
  auto store = opened(dir.file("store"));
  MESSAGE("a new store: " << ms(start) << " ms");
  start = Clock::now();
  for (uint64_t i = 1; i <= 50; ++i) REQUIRE(commit(*store, numbered_batch(kJob, 0, i)));
  MESSAGE("a commit: " << ms(start) / 50 << " ms");
  start = Clock::now();
  store.reset();
  MESSAGE("closing: " << ms(start) << " ms");
  start = Clock::now();
  store = opened(dir.file("store"));
  MESSAGE("opening again: " << ms(start) << " ms");
  CHECK(has_all(*store, 50));
}

}  // namespace
}  // namespace troupe::actors

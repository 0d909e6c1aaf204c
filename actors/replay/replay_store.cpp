#include "actors/replay/replay_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <sstream>

#include "actors/replay/mark_file.h"
#include "actors/replay/record_bytes.h"
#include "model/formats/file.h"
#include "schemas/check.h"
#include "schemas/descriptor.h"
#include "schemas/system_error.h"

namespace troupe::actors {
namespace {

namespace fs = std::filesystem;

// Its length is no record's key. The value is the number of the last commit as text, a space and
// the Manifest at that moment; in older stores the number alone.
constexpr char kCommitKey[] = "commit";

// What is synced at once is built in memory first.
constexpr size_t kGroupBytesMax = 32 << 20;

// A file that is there for moments, to see whether a full disk has room again.
constexpr char kRoom[] = "/room";
constexpr size_t kRoomOver = 1 << 20;

// RocksDB's own log file asserts when the disk is full, which would end the head at the moment it
// is to go on. Every failure is also a status.
class NoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::Options store_options(const StoreSizes& sizes) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  // A loss of power may leave any blocks of what was not synced yet, so the log ends where it
  // cannot be read. Whether what was acknowledged lies behind that place, the mark says.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // One log has all records that are in no table: the writer makes tables itself, between two
  // groups of commits, and never comes near this size. So the mark, which knows the last commit,
  // sees that the log is whole. (RocksDB could track several logs in its manifest, but version 7.8
  // then demands some that it has removed.)
  options.write_buffer_size = sizes.table_bytes + kGroupBytesMax * 32;
  // What counts as written is in steps of this.
  options.arena_block_size = std::min<size_t>(sizes.table_bytes / 8, 1 << 20);
  // Space is set aside for this much.
  options.max_total_wal_size = sizes.table_bytes + sizes.table_bytes / 10;
  options.max_manifest_file_size = sizes.manifest_bytes;
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  options.compression = rocksdb::kLZ4Compression;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<NoLog>();
  return options;
}

// Nobody else may open the folder while one of these is held, by this process or another.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& folder) {
    const std::string path = folder + "/lock";
    FolderLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock.file_.get() < 0) {
      return invalid_argument(fmt::format("cannot open {}: {}", path, std::strerror(errno)));
    }
    if (::flock(lock.file_.get(), LOCK_EX | LOCK_NB) != 0) {
      return invalid_argument(folder + " is in use by another process");
    }
    return lock;
  }

 private:
  explicit FolderLock(int file) : file_(file) {}
  Descriptor file_;
};

std::string database_path(const std::string& folder) { return folder + "/db"; }

Error exhausted(const rocksdb::Status& status, const std::string& path, int reason) {
  return {ErrorCode::kExhausted,
          fmt::format("{}: {}; {}", path, status.ToString(), advice_on_exhaustion(reason))};
}

Error from_rocksdb(const rocksdb::Status& status, const std::string& path) {
  // A database that lacks one of its files is as damaged as one with other bytes in it.
  const bool is_damaged = status.IsCorruption() || status.IsPathNotFound();
  if (is_damaged) {
    return {ErrorCode::kCorruption,
            fmt::format("{}: {}; it is damaged: restore the folder from a copy", path,
                        status.ToString())};
  }
  if (status.IsNoSpace()) return exhausted(status, path, ENOSPC);
  // It has a code of its own for a full disk only.
  for (const int reason : {EDQUOT, EMFILE, ENFILE}) {
    if (status.ToString().find(std::strerror(reason)) != std::string::npos) {
      return exhausted(status, path, reason);
    }
  }
  return {ErrorCode::kInternal, fmt::format("{}: {}", path, status.ToString())};
}

// RocksDB's list of the tables. Its reader takes one that was cut between two entries for whole,
// and forgets the tables behind the cut; so each commit says how long the list was.
struct Manifest {
  std::string name{};
  uint64_t num_bytes = 0;

  // Of a closed database: what the folder has.
  static Manifest of(const std::string& path) {
    Manifest manifest;
    std::getline(std::ifstream(path + "/CURRENT"), manifest.name);
    std::error_code missing;
    const auto num_bytes = fs::file_size(path + "/" + manifest.name, missing);
    if (!missing) manifest.num_bytes = num_bytes;
    return manifest;
  }

  // Of an open one: what it has appended and synced. The file may be longer, by what is on its way
  // or by a part of what could not be written, which is cut off again.
  static Result<Manifest> synced(rocksdb::DB& database, const std::string& path) {
    Manifest manifest;
    std::vector<std::string> files;
    const rocksdb::Status status =
        database.GetLiveFiles(files, &manifest.num_bytes, /*flush_memtable=*/false);
    if (!status.ok()) return from_rocksdb(status, path);
    for (const std::string& file : files) {
      if (file.starts_with("/MANIFEST-")) manifest.name = file.substr(1);
    }
    return manifest;
  }
};

struct LastCommit {
  uint64_t number = 0;
  Manifest manifest{};

  std::string text() const {
    return fmt::format("{} {} {}", number, manifest.name, manifest.num_bytes);
  }
};

Result<LastCommit> last_commit(rocksdb::DB& database, const std::string& path) {
  std::string text;
  const rocksdb::Status status = database.Get({}, kCommitKey, &text);
  LastCommit last;
  if (status.IsNotFound()) return last;
  if (!status.ok()) return from_rocksdb(status, path);
  std::istringstream(text) >> last.number >> last.manifest.name >> last.manifest.num_bytes;
  return last;
}

Result<uint64_t> commit_number(rocksdb::DB& database, const std::string& path) {
  const auto last = last_commit(database, path);
  if (!last) return last.error();
  return last->number;
}

enum class Access { kRead, kWrite };

Result<std::unique_ptr<rocksdb::DB>> open_database(const std::string& path, Access access,
                                                   const StoreSizes& sizes) {
  rocksdb::DB* opened = nullptr;
  const rocksdb::Options options = store_options(sizes);
  const rocksdb::Status status = access == Access::kRead
                                     ? rocksdb::DB::OpenForReadOnly(options, path, &opened)
                                     : rocksdb::DB::Open(options, path, &opened);
  std::unique_ptr<rocksdb::DB> database(opened);
  if (!status.ok()) return from_rocksdb(status, path);
  return database;
}

Error missing_commits(const std::string& path, uint64_t found, uint64_t acknowledged) {
  return {
      ErrorCode::kCorruption,
      fmt::format("{}: {} acknowledged commits are missing (it ends with {}, its mark says {}); "
                  "its newest files were damaged or are from an older copy: restore the whole "
                  "folder from one copy",
                  path, acknowledged - found, found, acknowledged)};
}

// Whether everything that was acknowledged is in the database; it is not changed by asking. Opening
// it to write would already throw away the log behind a damaged place.
Status check_against_mark(const std::string& folder, const std::optional<MarkFile>& mark,
                          const StoreSizes& sizes) {
  const std::string path = database_path(folder);
  uint64_t commit = 0;
  if (fs::exists(path + "/CURRENT")) {
    const auto database = open_database(path, Access::kRead, sizes);
    if (!database) return database.error();
    const auto last = last_commit(**database, path);
    if (!last) return last.error();
    commit = last->number;
    // Another one was begun since by an opening, whole.
    const Manifest now = Manifest::of(path);
    if (now.name == last->manifest.name && now.num_bytes < last->manifest.num_bytes) {
      return Error{
          ErrorCode::kCorruption,
          fmt::format("{}/{}: its end is missing ({} bytes of at least {}); it is damaged: "
                      "restore the folder from a copy",
                      path, now.name, now.num_bytes, last->manifest.num_bytes)};
    }
  }
  if (!mark && commit > 0) {
    return Error{ErrorCode::kCorruption,
                 fmt::format("{}/mark is missing, so nobody can say whether the {} commits in the "
                             "store are all; restore the whole folder from a copy",
                             folder, commit)};
  }
  if (mark && commit < mark->value()) {
    return missing_commits(path, commit, mark->value());
  }
  return ok();
}

}  // namespace

class ReplayStore::Implementation {
 public:
  Implementation(std::string folder, const StoreSizes& sizes, FolderLock lock, MarkFile mark,
                 std::unique_ptr<rocksdb::DB> database, uint64_t commit)
      : folder_(std::move(folder)),
        sizes_(sizes),
        lock_(std::move(lock)),
        mark_(std::move(mark)),
        database_(std::move(database)),
        commit_(commit) {}
  ~Implementation() { (void)sync_mark(); }
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;

  Result<std::vector<uint64_t>> begin_epochs(std::span<const uint64_t> jobs) {
    if (Status status = make_writable(); !status) return status.error();
    std::vector<uint64_t> begun;
    Group group(commit_);
    for (const uint64_t job : jobs) {
      const auto current = epoch_of(job);
      if (!current) return current.error();
      begun.push_back(*current + 1);
      group.begin_commit();
      group.put({.job = job, .kind = RecordKind::kEpoch}, begun.back(), {});
    }
    if (group.is_empty()) return begun;
    if (Status status = write(group); !status) return status.error();
    for (size_t i = 0; i < jobs.size(); ++i) epochs_[jobs[i]] = begun[i];
    return begun;
  }

  std::vector<Status> commit(std::span<const Batch> batches) {
    std::vector<Status> statuses(batches.size(), ok());
    Status failure = make_writable();
    size_t first = 0;  // Of those in `group`.
    Group group(commit_);
    const auto flush = [&](size_t end) {
      if (failure && !group.is_empty()) failure = write(group);
      for (size_t i = first; i < end; ++i) {
        if (!failure && statuses[i]) statuses[i] = failure;
      }
      first = end;
      group = Group(commit_);
    };
    for (size_t i = 0; i < batches.size(); ++i) {
      statuses[i] = failure ? check_epoch(batches[i]) : failure;
      if (!statuses[i]) continue;
      add(batches[i], group);
      if (group.size() >= kGroupBytesMax) flush(i + 1);
    }
    flush(batches.size());
    return statuses;
  }

  Status sync_mark() {
    if (!needs_mark_sync()) return ok();
    const Status status = mark_.sync();
    if (!status) {
      is_writable_ = false;
      bytes_without_room_ = status.error().code == ErrorCode::kExhausted ? 1 : 0;
    }
    return status;
  }
  // A store that is to be opened again writes its mark anew then.
  bool needs_mark_sync() const { return is_writable_ && !mark_.is_synced(); }

  Result<std::optional<StoredRecord>> find(const RecordKey& key) const {
    const std::shared_lock guard(mutex_);
    return find_unguarded(key);
  }

  Result<std::vector<StoredRecord>> list(uint64_t job, RecordKind kind, uint64_t first,
                                         uint64_t end) const {
    const std::string lower = key_bytes({.job = job, .kind = kind, .number = first});
    const std::string upper = key_bytes({.job = job, .kind = kind, .number = end});
    const rocksdb::Slice upper_slice(upper);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper_slice;

    const std::shared_lock guard(mutex_);
    std::vector<StoredRecord> records;
    if (!database_) return closed();
    if (first >= end) return records;
    const std::unique_ptr<rocksdb::Iterator> at(database_->NewIterator(options));
    for (at->Seek(lower); at->Valid(); at->Next()) {
      const auto key = read_key(at->key().ToStringView());
      if (!key) continue;
      auto record = read_value(*key, at->value().ToStringView());
      if (!record) return record.error();
      records.push_back(*std::move(record));
    }
    if (!at->status().ok()) return from_rocksdb(at->status(), path());
    return records;
  }

  Result<std::vector<uint64_t>> jobs() const {
    const std::shared_lock guard(mutex_);
    if (!database_) return closed();
    std::vector<uint64_t> found;
    const std::unique_ptr<rocksdb::Iterator> at(database_->NewIterator({}));
    at->SeekToFirst();
    while (at->Valid()) {
      const auto key = read_key(at->key().ToStringView());
      if (!key) {
        at->Next();
        continue;
      }
      // kJob is the lowest kind, so the first key of a job says whether it has one.
      if (key->kind == RecordKind::kJob) found.push_back(key->job);
      if (key->job == UINT64_MAX) break;
      at->Seek(key_bytes({.job = key->job + 1, .kind = RecordKind::kJob}));
    }
    if (!at->status().ok()) return from_rocksdb(at->status(), path());
    return found;
  }

  uint64_t num_commits() const { return commit_; }
  uint64_t num_syncs() const { return num_syncs_; }

 private:
  // Batches that are written and synced together.
  class Group {
   public:
    explicit Group(uint64_t last_commit) : commit_(last_commit) {}

    void begin_commit() { ++commit_, is_empty_ = false; }
    void put(const RecordKey& key, uint64_t epoch, std::span<const std::byte> record) {
      batch_.Put(key_bytes(key), value_bytes(epoch, commit_, record));
    }
    void erase(uint64_t job, const Erase& erase) {
      if (erase.first >= erase.end) return;
      batch_.DeleteRange(key_bytes({.job = job, .kind = erase.kind, .number = erase.first}),
                         key_bytes({.job = job, .kind = erase.kind, .number = erase.end}));
    }
    bool is_empty() const { return is_empty_; }
    size_t size() const { return batch_.GetDataSize(); }
    uint64_t commit() const { return commit_; }
    rocksdb::WriteBatch* sealed(const Manifest& manifest) {
      batch_.Put(kCommitKey, LastCommit{commit_, manifest}.text());
      return &batch_;
    }

   private:
    rocksdb::WriteBatch batch_{};
    uint64_t commit_ = 0;
    bool is_empty_ = true;
  };

  Error closed() const {
    return {ErrorCode::kInternal,
            path() + " could not be opened again after a failed write; the next commit tries it"};
  }

  std::string path() const { return database_path(folder_); }

  static void add(const Batch& batch, Group& group) {
    group.begin_commit();
    for (const Erase& erase : batch.erases) {
      TROUPE_CHECK(erase.kind != RecordKind::kEpoch);
      group.erase(batch.job, erase);
    }
    for (const Write& write : batch.writes) {
      TROUPE_CHECK(write.key.job == batch.job);
      TROUPE_CHECK(write.key.kind != RecordKind::kEpoch);
      group.put(write.key, batch.epoch, write.value);
    }
  }

  Status check_epoch(const Batch& batch) {
    const auto current = epoch_of(batch.job);
    if (!current) return current.error();
    if (batch.epoch == *current) return ok();
    return Error{ErrorCode::kStaleEpoch,
                 fmt::format("job {}: a writer of epoch {} was replaced by one of epoch {}",
                             batch.job, batch.epoch, *current)};
  }

  Result<uint64_t> epoch_of(uint64_t job) {
    if (const auto known = epochs_.find(job); known != epochs_.end()) return known->second;
    const auto record = find_unguarded({.job = job, .kind = RecordKind::kEpoch});
    if (!record) return record.error();
    return epochs_[job] = *record ? (*record)->epoch : 0;
  }

  // The writer needs no lock for it: nobody else replaces the database.
  Result<std::optional<StoredRecord>> find_unguarded(const RecordKey& key) const {
    if (!database_) return closed();
    std::string bytes;
    const rocksdb::Status status = database_->Get({}, key_bytes(key), &bytes);
    if (status.IsNotFound()) return std::optional<StoredRecord>();
    if (!status.ok()) return from_rocksdb(status, path());
    auto record = read_value(key, bytes);
    if (!record) return record.error();
    return std::optional<StoredRecord>(*std::move(record));
  }

  // Then the commits of the group may be acknowledged.
  Status write(Group& group) {
    Status result = append(group);
    if (result) {
      commit_ = group.commit();
    } else {
      is_writable_ = false;
      bytes_without_room_ = result.error().code == ErrorCode::kExhausted ? group.size() : 0;
    }
    return result;
  }

  // A table where it is time for one; log, its sync, mark.
  Status append(Group& group) {
    uint64_t num_bytes = 0;
    database_->GetIntProperty(rocksdb::DB::Properties::kCurSizeActiveMemTable, &num_bytes);
    if (num_bytes >= sizes_.table_bytes) {
      const rocksdb::Status status = database_->Flush({});
      if (!status.ok()) return from_rocksdb(status, path());
    }
    const auto manifest = Manifest::synced(*database_, path());
    if (!manifest) return manifest.error();
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status status = database_->Write(options, group.sealed(*manifest));
    ++num_syncs_;
    if (!status.ok()) return from_rocksdb(status, path());
    if (Status written = mark_.write(group.commit()); !written) return written;
    return num_syncs_ % kWritesPerMarkSync == 0 ? mark_.sync() : ok();
  }

  // After a failed write the log may end in half a record, and what is appended behind that is lost
  // at the next opening. So the database is opened again, which begins a new log.
  Status make_writable() {
    if (is_writable_) return ok();
    if (Status status = find_room(); !status) return status;
    const std::unique_lock guard(mutex_);
    epochs_.clear();
    database_.reset();
    auto opened = open_database(path(), Access::kWrite, sizes_);
    if (!opened) {
      // Reads go on. Reading needs no space on the disk.
      auto readable = open_database(path(), Access::kRead, sizes_);
      if (readable) database_ = *std::move(readable);
      return opened.error();
    }
    const auto number = commit_number(**opened, path());
    if (!number) return number.error();
    // A commit whose sync failed may be there after all; one that was acknowledged must be.
    if (*number < commit_) return missing_commits(path(), *number, commit_);
    database_ = *std::move(opened);
    if (Status status = mark_.write(*number); !status) return status;
    if (Status status = mark_.sync(); !status) return status;
    commit_ = *number;
    is_writable_ = true;
    bytes_without_room_ = 0;
    return ok();
  }

  // For what did not fit, for the tables that opening makes of the logs, and some more. Each
  // opening leaves a log behind until there is a table, so a full disk is not opened on a guess.
  Status find_room() const {
    if (bytes_without_room_ == 0) return ok();
    size_t bytes = bytes_without_room_ + kRoomOver;
    std::error_code error;
    for (fs::directory_iterator at(path(), error), end; !error && at != end; at.increment(error)) {
      std::error_code gone;
      const auto size = at->path().extension() == ".log" ? at->file_size(gone) : 0;
      if (!gone) bytes += size;
    }
    const std::string file_path = folder_ + kRoom;
    const int file = ::open(file_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return system_error("cannot create " + file_path, errno);
    const int reason = ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
    ::close(file);
    ::unlink(file_path.c_str());
    if (reason == 0) return ok();
    return system_error(fmt::format("{} needs {} bytes more", path(), bytes), reason);
  }

  const std::string folder_;
  const StoreSizes sizes_;
  const FolderLock lock_;
  MarkFile mark_;
  mutable std::shared_mutex mutex_{};      // Held by readers, and where database_ is replaced.
  std::unique_ptr<rocksdb::DB> database_;  // Null when it could not be opened again.
  std::map<uint64_t, uint64_t> epochs_{};  // Those looked up since the database was opened.
  std::atomic<uint64_t> commit_;           // The last that was acknowledged.
  std::atomic<uint64_t> num_syncs_ = 0;
  bool is_writable_ = true;
  size_t bytes_without_room_ = 0;  // Of the commit that found the disk full.
};

Result<std::unique_ptr<ReplayStore>> ReplayStore::open(const std::string& folder,
                                                       const StoreSizes& sizes) {
  if (Status status = model::create_folders(folder); !status) return status.error();
  auto lock = FolderLock::take(folder);
  if (!lock) return lock.error();
  const std::string mark_path = folder + "/mark";
  auto mark = MarkFile::open(mark_path);
  if (!mark) return mark.error();
  if (Status status = check_against_mark(folder, *mark, sizes); !status) return status.error();
  ::unlink((folder + kRoom).c_str());

  const std::string path = database_path(folder);
  auto database = open_database(path, Access::kWrite, sizes);
  if (!database) return database.error();
  const auto number = commit_number(**database, path);
  if (!number) return number.error();
  if (!*mark) {
    auto created = MarkFile::create(mark_path, *number);
    if (!created) return created.error();
    *mark = *std::move(created);
  }
  // Nobody may have been told of the last commits, but now they are read. It is written in any
  // case: what is found may be what a sync that failed has left in memory.
  if (Status status = (*mark)->sync(); !status) return status.error();
  if (Status status = (*mark)->write(*number); !status) return status.error();
  if (Status status = (*mark)->sync(); !status) return status.error();
  // Who created the database and its mark may have been killed before their names were on the disk.
  if (Status status = model::sync_folder(folder); !status) return status.error();
  return std::unique_ptr<ReplayStore>(new ReplayStore(std::make_unique<Implementation>(
      folder, sizes, *std::move(lock), **std::move(mark), *std::move(database), *number)));
}

ReplayStore::ReplayStore(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ReplayStore::~ReplayStore() = default;

Result<uint64_t> ReplayStore::begin_epoch(uint64_t job) {
  const auto begun = implementation_->begin_epochs({&job, 1});
  if (!begun) return begun.error();
  return begun->front();
}
Result<std::vector<uint64_t>> ReplayStore::begin_epochs(std::span<const uint64_t> jobs) {
  return implementation_->begin_epochs(jobs);
}
std::vector<Status> ReplayStore::commit(std::span<const Batch> batches) {
  return implementation_->commit(batches);
}
Result<std::optional<StoredRecord>> ReplayStore::find(const RecordKey& key) const {
  return implementation_->find(key);
}
Result<std::vector<StoredRecord>> ReplayStore::list(uint64_t job, RecordKind kind, uint64_t first,
                                                    uint64_t end) const {
  return implementation_->list(job, kind, first, end);
}
Result<std::vector<uint64_t>> ReplayStore::jobs() const { return implementation_->jobs(); }
Status ReplayStore::sync_mark() { return implementation_->sync_mark(); }
bool ReplayStore::needs_mark_sync() const { return implementation_->needs_mark_sync(); }
uint64_t ReplayStore::num_commits() const { return implementation_->num_commits(); }
uint64_t ReplayStore::num_syncs() const { return implementation_->num_syncs(); }

}  // namespace troupe::actors

// The store: what is acknowledged here survives kill -9 of anything at any moment.
//
// One RocksDB per head, opened by that process alone. Keys are job / kind / number / ordinal, so
// that a range reads in history's order. A value carries its schema's version, the epoch of its
// writer and the number of the commit that wrote it, around the encoded record. Every commit is one
// atomic batch; commits that come together are synced together.
//
// Damage is detected: a commit counter in the database is written again, with a checksum, to one of
// two slots of a mark file after the log is synced and before anyone is told. A database that is
// behind its mark has lost what was acknowledged and is refused, untouched. The mark only knows the
// last commit. Nothing before it is gone, because what is in no table is in one log, whose end that
// commit is; and each commit says how long the manifest was, the database's list of its tables.
//
// An answer waits for one sync, the log's. The mark is there for whoever opens the store next, also
// after kill -9, and is synced when the store rests, or with every kWritesPerMarkSync-th write. So
// a loss of power, or a mark that could not be written and then a kill, may leave it behind, which
// loses nothing: the log has what was acknowledged. Only damage to those last commits, at that same
// moment, is not seen then.
//
// Threads: begin_epoch, commit, sync_mark and needs_mark_sync are called by one thread at a time,
// the writer (group_commit.h owns one); find, list, jobs and num_commits by any thread at any
// moment. A reader sees each call of commit whole or not at all, possibly a moment before it is
// acknowledged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "schemas/result.h"

namespace troupe::actors {

// Values are stored: append, never renumber.
enum class RecordKind : uint8_t {
  kJob = 1,
  kEpoch = 2,
  kRound = 3,
  kGroup = 4,
  kDrop = 5,
  kAttempt = 6,
  kStep = 7,
  kEvaluation = 8,
  kPoint = 9,
  kLedger = 10,
  kSegments = 11,
};

struct RecordKey {
  uint64_t job = 0;
  RecordKind kind = RecordKind::kJob;
  uint64_t number = 0;   // Round, policy version, ...
  uint32_t ordinal = 0;  // Of a group within its round.
  auto operator<=>(const RecordKey&) const = default;
};

struct Write {
  RecordKey key{};
  std::vector<std::byte> value{};  // An encoded record.
};

// Keys of one kind with number in [first, end) are forgotten.
struct Erase {
  RecordKind kind = RecordKind::kGroup;
  uint64_t first = 0;
  uint64_t end = 0;
};

// All of it or nothing.
struct Batch {
  uint64_t job = 0;
  // Refused with kStaleEpoch unless it is the job's current one, which is 0 before the first.
  uint64_t epoch = 0;
  std::vector<Write> writes{};  // Of this job, and not of kind kEpoch, which is the store's own.
  std::vector<Erase> erases{};  // Applied before the writes.
};

struct StoredRecord {
  RecordKey key{};
  uint64_t epoch = 0;   // Of the writer.
  uint64_t commit = 0;  // Number of the batch, from 1.
  std::vector<std::byte> value{};
};

// What those who go on with a job read; simulations have a store of their own.
class RecordReader {
 public:
  virtual ~RecordReader() = default;

  virtual Result<std::optional<StoredRecord>> find(const RecordKey& key) const = 0;

  // Records of one kind with number in [first, end), in order.
  virtual Result<std::vector<StoredRecord>> list(uint64_t job, RecordKind kind, uint64_t first,
                                                 uint64_t end) const = 0;
};

// How much a file takes before the next one is begun. Tests begin many.
struct StoreSizes {
  size_t table_bytes = 16 << 20;    // Written since the last table; at least 64 KiB.
  size_t manifest_bytes = 1 << 30;  // Of the database's list of tables.
};

class ReplayStore : public RecordReader {
 public:
  static constexpr uint64_t kWritesPerMarkSync = 256;

  // Creates the folder when it is missing. kInvalidArgument when another process has it open or it
  // cannot be created; kCorruption, saying what is damaged and what to do, when the database cannot
  // be read or is behind its mark.
  static Result<std::unique_ptr<ReplayStore>> open(const std::string& folder,
                                                   const StoreSizes& sizes = {});
  ~ReplayStore() override;

  // A new writer of `job` takes over: from now on older epochs are refused. Durable; returns the
  // epoch, from 1.
  Result<uint64_t> begin_epoch(uint64_t job);
  // The same of many at once, all or none; the epochs in the order of the jobs, which are
  // different.
  Result<std::vector<uint64_t>> begin_epochs(std::span<const uint64_t> jobs);

  // Each batch is atomic, they are applied in order, and all are synced before this returns. One
  // status per batch: kStaleEpoch for a fenced writer (the others are not affected); kExhausted
  // when the disk is full and kInternal when it failed, for that batch and every later one of the
  // call. Such a batch may turn out to be there after all, as after a crash; to commit the same
  // again is safe. The next call tries again, so a full disk is survived once there is space; reads
  // go on meanwhile.
  std::vector<Status> commit(std::span<const Batch> batches);

  // For a moment when nobody waits for a commit; the destructor does it too. After a failure the
  // next commit writes the mark anew.
  Status sync_mark();
  bool needs_mark_sync() const;

  Result<std::optional<StoredRecord>> find(const RecordKey& key) const override;
  Result<std::vector<StoredRecord>> list(uint64_t job, RecordKind kind, uint64_t first = 0,
                                         uint64_t end = UINT64_MAX) const override;

  // Jobs that have a kJob record, in order.
  Result<std::vector<uint64_t>> jobs() const;

  // Batches and epochs acknowledged so far, over all openings.
  uint64_t num_commits() const;
  // How often this object waited for the disk to sync its log.
  uint64_t num_syncs() const;

 private:
  class Implementation;
  explicit ReplayStore(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::actors

// The one writer of the store, as a thread: whatever came while the disk was busy is committed
// together, so that a hundred actors that commit at once wait for one sync and not for a hundred.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "actors/replay/replay_store.h"
#include "schemas/result.h"

namespace troupe::actors {

// All of it may be called from any thread, callbacks included. Callbacks run on the writer thread,
// in the order of the calls, and nothing is committed while one runs: they pass on and return.
class GroupCommit {
 public:
  // While this much waits, more is refused.
  static constexpr size_t kQueueBytesMax = 256 << 20;

  explicit GroupCommit(std::unique_ptr<ReplayStore> store, size_t queue_bytes_max = kQueueBytesMax);
  // Commits what waits, calls its callbacks and closes the store.
  ~GroupCommit();
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // ok: `done` will be called with what became of the batch. kOverloaded: it will not be called,
  // and the batch is to be submitted again later.
  Status submit(Batch batch, std::function<void(Status)> done);

  // ReplayStore::begin_epoch, after everything submitted before.
  void begin_epoch(uint64_t job, std::function<void(Result<uint64_t>)> done);

  // Sees everything submitted before.
  void read(std::function<void(const ReplayStore&)> look);

  // To be read at any moment, from any thread; it may be behind what was submitted.
  const ReplayStore& store() const { return *store_; }
  uint64_t num_syncs() const { return store_->num_syncs(); }

 private:
  struct Submission {
    Batch batch{};
    std::function<void(Status)> done{};
  };
  struct EpochRequest {
    uint64_t job = 0;
    std::function<void(Result<uint64_t>)> done{};
  };
  struct Look {
    std::function<void(const ReplayStore&)> look{};
  };
  using Item = std::variant<Submission, EpochRequest, Look>;

  void push(Item item);
  void run();
  void work_off(std::vector<Item>& items);
  void commit_pending();

  const std::unique_ptr<ReplayStore> store_;
  const size_t queue_bytes_max_;
  std::mutex mutex_{};
  std::condition_variable has_work_{};
  std::vector<Item> queue_{};  // These three are guarded by mutex_.
  size_t queue_bytes_ = 0;     // Of batches that are not committed yet.
  bool is_stopping_ = false;
  // Of the writer thread: submissions to be committed by the next call.
  std::vector<Batch> pending_{};
  std::vector<std::function<void(Status)>> pending_done_{};
  std::thread writer_{};  // Last, because it uses all of the above.
};

}  // namespace troupe::actors

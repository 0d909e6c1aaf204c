// The one writer of the store, as a thread: whatever came while the disk was busy is committed
// together, so that a hundred actors that commit at once wait for one sync and not for a hundred.
//
// While the disk is full it keeps what it has and tries again until there is room: nobody has been
// told yet that it exists, so waiting loses nothing. It says so once, and again when it goes on.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "actors/replay/replay_store.h"
#include "schemas/result.h"

namespace troupe::actors {

// What becomes of a batch while the disk is full.
enum class WhenFull {
  kWait,
  kRefuse,  // Whoever asked can ask again.
};

// All of it may be called from any thread, callbacks included. Callbacks run on the writer thread,
// in the order of the calls, and nothing is committed while one runs: they pass on and return.
class GroupCommit {
 public:
  // While this much waits, more is refused.
  static constexpr size_t kQueueBytesMax = 256 << 20;
  // Between two tries on a full disk: doubled from the first to the last.
  static constexpr std::chrono::milliseconds kRetryFirst{100};
  static constexpr std::chrono::milliseconds kRetryMax{2'000};
  // With nothing to do for so long it syncs the store's mark, for which nobody waits.
  static constexpr std::chrono::milliseconds kRest{20};

  // `noted` hears on the writer thread, as a line for people, that the disk is full or has room
  // again.
  explicit GroupCommit(
      std::unique_ptr<ReplayStore> store, size_t queue_bytes_max = kQueueBytesMax,
      std::function<void(const std::string&)> noted = [](const std::string&) {},
      std::chrono::milliseconds rest = kRest);
  // Commits what waits, calls its callbacks and closes the store. A full disk is tried once more.
  ~GroupCommit();
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // ok: `done` will be called with what became of the batch, and never with kExhausted when it
  // waits, except at the end of all. kOverloaded: it will not be called, and the batch is to be
  // submitted again later. kExhausted: nor will it then; the disk is full, and the batch is one to
  // refuse.
  Status submit(Batch batch, std::function<void(Status)> done,
                WhenFull when_full = WhenFull::kWait);

  // ReplayStore::begin_epoch, after everything submitted before. Waits while the disk is full.
  void begin_epoch(uint64_t job, std::function<void(Result<uint64_t>)> done);

  // Sees everything submitted before.
  void read(std::function<void(const ReplayStore&)> look);

  // To be read at any moment, from any thread; it may be behind what was submitted.
  const ReplayStore& store() const { return *store_; }
  uint64_t num_syncs() const { return store_->num_syncs(); }
  // What the writer waits for, if it does: kExhausted, saying which disk is full and what to do.
  std::optional<Error> waits_for() const;

 private:
  struct Submission {
    Batch batch{};
    std::function<void(Status)> done{};
    WhenFull when_full = WhenFull::kWait;
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
  // As far as the disk lets it; what is left stays in front.
  Status work_off(std::deque<Item>& items);
  Status commit_first(std::deque<Item>& items);
  void refuse(std::deque<Item>& items, const Error& full);
  void give_up(std::deque<Item>& items, const Error& full);
  void finish(Submission& submission, Status status);
  void set_waits_for(std::optional<Error> full);
  void tell_full(const Error& full, size_t num_waiting);
  void tell_room();

  const std::unique_ptr<ReplayStore> store_;
  const size_t queue_bytes_max_;
  const std::function<void(const std::string&)> noted_;
  const std::chrono::milliseconds rest_;
  mutable std::mutex mutex_{};
  std::condition_variable has_work_{};
  std::deque<Item> queue_{};  // These four are guarded by mutex_.
  size_t queue_bytes_ = 0;    // Of batches that are not committed yet.
  std::optional<Error> waits_for_{};
  bool is_stopping_ = false;
  bool is_told_full_ = false;  // Of the writer thread.
  std::thread writer_{};       // Last, because it uses all of the above.
};

}  // namespace troupe::actors

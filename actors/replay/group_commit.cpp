#include "actors/replay/group_commit.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::actors {
namespace {

size_t bytes_of(const Batch& batch) {
  size_t bytes = sizeof(Batch) + batch.erases.size() * sizeof(Erase);
  for (const Write& write : batch.writes) bytes += sizeof(Write) + write.value.size();
  return bytes;
}

bool is_full(const Status& status) {
  return !status && status.error().code == ErrorCode::kExhausted;
}

}  // namespace

GroupCommit::GroupCommit(std::unique_ptr<ReplayStore> store, size_t queue_bytes_max,
                         std::function<void(const std::string&)> noted,
                         std::chrono::milliseconds rest)
    : store_(std::move(store)),
      queue_bytes_max_(queue_bytes_max),
      noted_(std::move(noted)),
      rest_(rest),
      writer_([this] { run(); }) {}

GroupCommit::~GroupCommit() {
  {
    const std::lock_guard guard(mutex_);
    is_stopping_ = true;
  }
  has_work_.notify_one();
  writer_.join();
}

Status GroupCommit::submit(Batch batch, std::function<void(Status)> done, WhenFull when_full) {
  const size_t bytes = bytes_of(batch);
  {
    const std::lock_guard guard(mutex_);
    if (waits_for_ && when_full == WhenFull::kRefuse) return *waits_for_;
    // The first is let in whatever its size, or it could never be.
    if (queue_bytes_ > 0 && queue_bytes_ + bytes > queue_bytes_max_) {
      return Error{ErrorCode::kOverloaded,
                   fmt::format("{} bytes wait to be committed already", queue_bytes_)};
    }
    queue_bytes_ += bytes;
    queue_.push_back(Submission{std::move(batch), std::move(done), when_full});
  }
  has_work_.notify_one();
  return ok();
}

void GroupCommit::begin_epoch(uint64_t job, std::function<void(Result<uint64_t>)> done) {
  push(EpochRequest{job, std::move(done)});
}

void GroupCommit::read(std::function<void(const ReplayStore&)> look) {
  push(Look{std::move(look)});
}

std::optional<Error> GroupCommit::waits_for() const {
  const std::lock_guard guard(mutex_);
  return waits_for_;
}

void GroupCommit::push(Item item) {
  {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(item));
  }
  has_work_.notify_one();
}

void GroupCommit::run() {
  std::deque<Item> items;
  auto pause = kRetryFirst;
  while (true) {
    bool is_last_try = false;
    {
      std::unique_lock guard(mutex_);
      if (waits_for_) {
        has_work_.wait_for(guard, pause, [this] { return is_stopping_; });
        pause = std::min(2 * pause, kRetryMax);
      } else {
        const auto is_needed = [this] { return is_stopping_ || !queue_.empty(); };
        if (store_->needs_mark_sync() && !has_work_.wait_for(guard, rest_, is_needed)) {
          guard.unlock();
          // A failure is met again by the next commit, which somebody waits for.
          (void)store_->sync_mark();
          guard.lock();
        }
        has_work_.wait(guard, is_needed);
        pause = kRetryFirst;
      }
      std::move(queue_.begin(), queue_.end(), std::back_inserter(items));
      queue_.clear();
      if (items.empty()) return;
      is_last_try = is_stopping_;
    }
    const uint64_t num_commits = store_->num_commits();
    const Status status = work_off(items);
    if (!status) {
      refuse(items, status.error());
      // Where nothing waits, the next submission tries.
      set_waits_for(items.empty() ? std::nullopt : std::optional(status.error()));
      tell_full(status.error(), items.size());
      if (is_last_try) give_up(items, status.error());
    } else {
      set_waits_for(std::nullopt);
      if (store_->num_commits() > num_commits) tell_room();
    }
  }
}

// What is refused leaves the order of the others as it is.
void GroupCommit::refuse(std::deque<Item>& items, const Error& full) {
  std::deque<Item> kept;
  for (Item& item : items) {
    auto* const submission = std::get_if<Submission>(&item);
    if (submission != nullptr && submission->when_full == WhenFull::kRefuse) {
      finish(*submission, full);
    } else {
      kept.push_back(std::move(item));
    }
  }
  items.swap(kept);
}

void GroupCommit::give_up(std::deque<Item>& items, const Error& full) {
  for (Item& item : items) {
    if (auto* const submission = std::get_if<Submission>(&item)) {
      finish(*submission, full);
    } else if (auto* const request = std::get_if<EpochRequest>(&item)) {
      request->done(full);
    } else {
      std::get<Look>(item).look(*store_);
    }
  }
  items.clear();
}

Status GroupCommit::work_off(std::deque<Item>& items) {
  while (!items.empty()) {
    if (std::holds_alternative<Submission>(items.front())) {
      if (Status status = commit_first(items); !status) return status;
      continue;
    }
    if (auto* const request = std::get_if<EpochRequest>(&items.front())) {
      auto epoch = store_->begin_epoch(request->job);
      if (!epoch && epoch.error().code == ErrorCode::kExhausted) return epoch.error();
      request->done(std::move(epoch));
    } else {
      std::get<Look>(items.front()).look(*store_);
    }
    items.pop_front();
  }
  return ok();
}

// The submissions before the first item of another kind.
Status GroupCommit::commit_first(std::deque<Item>& items) {
  std::vector<Batch> batches;
  for (Item& item : items) {
    auto* const submission = std::get_if<Submission>(&item);
    if (submission == nullptr) break;
    batches.push_back(std::move(submission->batch));
  }
  auto statuses = store_->commit(batches);
  Status result = ok();
  std::deque<Item> left;
  for (size_t i = 0; i < statuses.size(); ++i) {
    auto& submission = std::get<Submission>(items.front());
    submission.batch = std::move(batches[i]);
    if (is_full(statuses[i])) {
      result = statuses[i];
      left.push_back(std::move(items.front()));
    } else {
      finish(submission, std::move(statuses[i]));
    }
    items.pop_front();
  }
  items.insert(items.begin(), std::make_move_iterator(left.begin()),
               std::make_move_iterator(left.end()));
  return result;
}

void GroupCommit::finish(Submission& submission, Status status) {
  {
    const std::lock_guard guard(mutex_);
    queue_bytes_ -= bytes_of(submission.batch);
  }
  submission.done(std::move(status));
}

void GroupCommit::set_waits_for(std::optional<Error> full) {
  const std::lock_guard guard(mutex_);
  waits_for_ = std::move(full);
}

void GroupCommit::tell_full(const Error& full, size_t num_waiting) {
  if (std::exchange(is_told_full_, true)) return;
  noted_(
      fmt::format("nothing can be recorded: {}; new jobs are refused until then, what was "
                  "acknowledged is safe, and {} records wait",
                  full.message, num_waiting));
}

void GroupCommit::tell_room() {
  if (!std::exchange(is_told_full_, false)) return;
  noted_("there is room again: what waited is recorded, and everything goes on");
}

}  // namespace troupe::actors

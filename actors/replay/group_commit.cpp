#include "actors/replay/group_commit.h"

#include <fmt/format.h>

#include <span>
#include <utility>

namespace troupe::actors {
namespace {

size_t bytes_of(const Batch& batch) {
  size_t bytes = sizeof(Batch) + batch.erases.size() * sizeof(Erase);
  for (const Write& write : batch.writes) bytes += sizeof(Write) + write.value.size();
  return bytes;
}

size_t bytes_of(std::span<const Batch> batches) {
  size_t bytes = 0;
  for (const Batch& batch : batches) bytes += bytes_of(batch);
  return bytes;
}

}  // namespace

GroupCommit::GroupCommit(std::unique_ptr<ReplayStore> store, size_t queue_bytes_max)
    : store_(std::move(store)), queue_bytes_max_(queue_bytes_max), writer_([this] { run(); }) {}

GroupCommit::~GroupCommit() {
  {
    const std::lock_guard guard(mutex_);
    is_stopping_ = true;
  }
  has_work_.notify_one();
  writer_.join();
}

Status GroupCommit::submit(Batch batch, std::function<void(Status)> done) {
  const size_t bytes = bytes_of(batch);
  {
    const std::lock_guard guard(mutex_);
    // The first is let in whatever its size, or it could never be.
    if (queue_bytes_ > 0 && queue_bytes_ + bytes > queue_bytes_max_) {
      return Error{ErrorCode::kOverloaded,
                   fmt::format("{} bytes wait to be committed already", queue_bytes_)};
    }
    queue_bytes_ += bytes;
    queue_.push_back(Submission{std::move(batch), std::move(done)});
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

void GroupCommit::push(Item item) {
  {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(item));
  }
  has_work_.notify_one();
}

void GroupCommit::run() {
  while (true) {
    std::vector<Item> items;
    {
      std::unique_lock guard(mutex_);
      has_work_.wait(guard, [this] { return is_stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      items.swap(queue_);
    }
    work_off(items);
  }
}

void GroupCommit::work_off(std::vector<Item>& items) {
  for (Item& item : items) {
    if (auto* const submission = std::get_if<Submission>(&item)) {
      pending_.push_back(std::move(submission->batch));
      pending_done_.push_back(std::move(submission->done));
      continue;
    }
    commit_pending();
    if (auto* const request = std::get_if<EpochRequest>(&item)) {
      request->done(store_->begin_epoch(request->job));
    } else {
      std::get<Look>(item).look(*store_);
    }
  }
  commit_pending();
}

void GroupCommit::commit_pending() {
  if (pending_.empty()) return;
  auto statuses = store_->commit(pending_);
  const size_t bytes = bytes_of(pending_);
  pending_.clear();
  {
    const std::lock_guard guard(mutex_);
    queue_bytes_ -= bytes;
  }
  const auto done = std::exchange(pending_done_, {});
  for (size_t i = 0; i < done.size(); ++i) done[i](std::move(statuses[i]));
}

}  // namespace troupe::actors

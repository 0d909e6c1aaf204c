#include "model/device.h"

namespace troupe::model {

Threads::Threads(int count) {
  TROUPE_CHECK(count >= 1);
  for (int i = 1; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
}

Threads::~Threads() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  started_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Threads::run(int64_t num_tasks, const std::function<void(int64_t, int)>& task) {
  if (threads_.empty() || num_tasks <= 1) {
    for (int64_t i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  std::unique_lock lock(mutex_);
  task_ = &task;
  num_tasks_ = num_tasks;
  next_ = 0;
  ++generation_;
  started_.notify_all();
  while (next_ < num_tasks_) {
    const int64_t index = next_++;
    lock.unlock();
    task(index, 0);
    lock.lock();
  }
  finished_.wait(lock, [this] { return running_ == 0; });
  task_ = nullptr;
}

void Threads::work(int thread) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    started_.wait(lock, [&] { return is_stopping_ || generation_ != seen; });
    if (is_stopping_) return;
    seen = generation_;
    ++running_;
    while (task_ != nullptr && next_ < num_tasks_) {
      const int64_t index = next_++;
      const auto* task = task_;
      lock.unlock();
      (*task)(index, thread);
      lock.lock();
    }
    --running_;
    finished_.notify_one();
  }
}

}  // namespace troupe::model

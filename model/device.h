// A backend with its threads: one stream each, memory that frees itself, and a way to run
// independent pieces of work on all of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "schemas/check.h"

namespace troupe::model {

// Owns `count` elements of device memory, zeroed.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(const kernels::Backend& backend, int64_t count)
      : backend_(&backend),
        data_{backend.allocate(count * static_cast<int64_t>(sizeof(T)))},
        count_(count) {
    TROUPE_CHECK(data_);  // Sizes are planned before anything runs; there is nothing to go back to.
  }
  ~DeviceBuffer() {
    if (data_) backend_->release(data_.address);
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }

  kernels::Device<T> get() const { return data_; }
  int64_t count() const { return count_; }

 private:
  void swap(DeviceBuffer& other) {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }

  const kernels::Backend* backend_ = nullptr;
  kernels::Device<T> data_{};
  int64_t count_ = 0;
};

// Threads of one worker. Work is handed out by index, and a task's result must not depend on which
// thread ran it. Not reentrant; one caller at a time.
class Threads {
 public:
  explicit Threads(int count);  // The caller is one of them.
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return static_cast<int>(threads_.size()) + 1; }

  // Runs task(index, thread) for index in [0, num_tasks); returns when all are done.
  void run(int64_t num_tasks, const std::function<void(int64_t index, int thread)>& task);

 private:
  void work(int thread);

  std::mutex mutex_;
  std::condition_variable started_;
  std::condition_variable finished_;
  const std::function<void(int64_t, int)>* task_ = nullptr;
  int64_t num_tasks_ = 0;
  int64_t next_ = 0;
  int64_t running_ = 0;
  uint64_t generation_ = 0;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

// A stream that ends with its owner.
class OwnedStream {
 public:
  OwnedStream(const kernels::Backend& backend, kernels::Precision precision,
              const kernels::WorkspacePlan& plan)
      : backend_(&backend), stream_(backend.create_stream(precision, plan)) {}
  ~OwnedStream() {
    if (stream_ != nullptr) backend_->destroy_stream(stream_);
  }
  OwnedStream(OwnedStream&& other) noexcept
      : backend_(other.backend_), stream_(std::exchange(other.stream_, nullptr)) {}
  OwnedStream& operator=(OwnedStream&&) = delete;

  kernels::Stream* get() const { return stream_; }

 private:
  const kernels::Backend* backend_;
  kernels::Stream* stream_;
};

}  // namespace troupe::model

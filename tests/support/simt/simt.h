// Runs CUDA kernels on the host processor, so that their logic is tested where there is no GPU: the
// machine behind kernels/cuda/host.h. README.md says how it works and what it cannot see.
//
// One host thread uses it. Addresses of its device memory are never given out twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cuda/host.h"
#include "kernels/device_types.h"
#include "tests/support/cuda_reference/mma.h"

namespace troupe::simt {

using kernels::cuda::Extent;
using kernels::cuda::Place;
using kernels::cuda::host::Launch;

// How a launch's threads are run, where not by calling the kernel: see ptx.h.
class Interpreter {
 public:
  virtual ~Interpreter() = default;
  // Finds what to run for a kernel. Called once before the threads of a launch.
  virtual void prepare(const Launch& launch) = 0;
  // Runs one thread, from inside it.
  virtual void run_thread() = 0;
};

struct Settings {
  uint64_t seed = 1;  // Of the schedule.
  // Whether accesses are looked at. Only what was compiled for it, or is interpreted, reports them.
  bool is_checked = false;
  cuda_reference::TensorCore tensor_core = cuda_reference::TensorCore::kSm90;
  Interpreter* interpreter = nullptr;
};
Settings& settings();

// What is wrong with a kernel.
enum class ProblemKind {
  kRace,              // Two accesses of one block's threads that nothing orders.
  kRaceOfBlocks,      // The same by two blocks of one launch.
  kOutOfBounds,       // Memory that is none of the device's, or is no more.
  kNeverWritten,      // A read of memory that nobody has written.
  kCopyOnItsWay,      // A read of what an asynchronous copy may not have written yet.
  kHostMemory,        // A pointer of the host.
  kMisaligned,        // A vector or a copy that does not lie on its own size.
  kDivergentBarrier,  // Threads of a block at different barriers.
  kDeadlock,          // Threads wait and none can run.
  kWarpOperation,     // Lanes and mask do not agree.
};
const char* name(ProblemKind kind);

struct Problem {
  ProblemKind kind{};
  std::string text{};  // What, at which line of the kernel's source, by which block and thread.
};

// What was found since the last call. After a problem that a kernel cannot go on with, the rest of
// its launch was given up.
std::vector<Problem> take_problems();

struct Counts {
  uint64_t launches = 0;
  uint64_t blocks = 0;
  uint64_t switches = 0;  // From thread to thread.
  uint64_t accesses = 0;  // That were looked at.
};
const Counts& counts();

// Device memory, between red zones and full of NaNs. Addresses are multiples of 256.
void* allocate(size_t bytes);
void release(void* address);
void upload(void* to, const void* from, size_t bytes);
void download(void* to, const void* from, size_t bytes);

// An array on the device.
template <class T>
class Array {
 public:
  explicit Array(size_t size) : values_(static_cast<T*>(allocate(size * sizeof(T)))), size_(size) {}
  explicit Array(const std::vector<T>& values) : Array(values.size()) {
    upload(values_, values.data(), size_ * sizeof(T));
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { release(values_); }

  T* get() const { return values_; }
  kernels::Device<T> device() const { return {reinterpret_cast<uint64_t>(values_)}; }
  kernels::Stored stored() const {
    return {reinterpret_cast<uint64_t>(values_), static_cast<uint8_t>(sizeof(T))};
  }
  std::vector<T> values() const {
    std::vector<T> all(size_);
    download(all.data(), values_, size_ * sizeof(T));
    return all;
  }

 private:
  T* values_;
  size_t size_;
};

}  // namespace troupe::simt

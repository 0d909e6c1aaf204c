#include "kernels/cuda/plugin/runtime.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/machine.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kDevice = 0;
constexpr int kCapabilityMin = 8;  // Tensor cores with bf16.

int capability = 0;  // Its major number.

std::string text_of(cudaError_t error) { return cudaGetErrorString(error); }

void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw DeviceError(std::string(what) + ": " + text_of(error));
}

// Made when there is work: whoever only asks which arithmetic there is takes nothing of a GPU, and
// the head is such a one.
cudaStream_t work() {
  static const cudaStream_t made = [] {
    cudaStream_t stream = nullptr;
    require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "the GPU takes no work");
    return stream;
  }();
  return made;
}

cudaEvent_t last_mark() {
  static const cudaEvent_t made = [] {
    cudaEvent_t event = nullptr;
    require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "a mark in the GPU's queue");
    return event;
  }();
  return made;
}

void* pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

}  // namespace

std::string begin_runtime() {
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted == cudaErrorNoDevice || (counted == cudaSuccess && count == 0)) {
    return "this machine has no GPU that this process may use";
  }
  if (counted == cudaErrorInsufficientDriver) {
    return "there is no driver for GPUs, or one that is too old";
  }
  if (counted != cudaSuccess) return "the driver for GPUs does not answer: " + text_of(counted);
  const cudaError_t asked =
      cudaDeviceGetAttribute(&capability, cudaDevAttrComputeCapabilityMajor, kDevice);
  if (asked != cudaSuccess) return "the GPU does not say what it is: " + text_of(asked);
  if (capability < kCapabilityMin) {
    return "the GPU has compute capability " + std::to_string(capability) +
           "; 8 or more is needed, for products of bf16";
  }
  return "";
}

const QueueCalls& queue_calls() {
  static const QueueCalls calls = {
      .native = [] { return static_cast<void*>(work()); },
      .mark = []() -> const char* {
        const cudaError_t error = cudaEventRecord(last_mark(), work());
        return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
      },
      .has_passed =
          [](const char** why) {
            const cudaError_t error = cudaEventQuery(last_mark());
            if (error != cudaSuccess && error != cudaErrorNotReady) {
              *why = cudaGetErrorString(error);
            }
            return error == cudaSuccess;
          },
  };
  return calls;
}

namespace machine {

const char* name() { return "cuda"; }
const char* arithmetic_id() { return capability >= 9 ? "cuda-sm90-1" : "cuda-sm80-1"; }

StreamHandle queue() { return work(); }

uint64_t allocate(int64_t bytes) {
  void* memory = nullptr;
  const auto size = static_cast<size_t>(bytes > 0 ? bytes : 1);
  const cudaError_t error = cudaMalloc(&memory, size);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // It is no failure of the device.
    return 0;
  }
  require(error, "memory of the GPU");
  // Another thread may give this memory to work of its own before the queue comes to it.
  require(cudaMemsetAsync(memory, 0, size, work()), "zeros for memory of the GPU");
  require(cudaStreamSynchronize(work()), "zeros for memory of the GPU");
  return reinterpret_cast<uint64_t>(memory);
}

void release(uint64_t address) {
  if (address == 0) return;
  // A destructor calls this: where the device has failed, whoever waits next learns of it.
  cudaStreamSynchronize(work());
  cudaFree(pointer(address));
}

// Memory that is not locked in place has been copied out of when the call returns (CUDA runtime,
// "API synchronization behavior").
void upload(uint64_t to, const void* from, int64_t bytes) {
  require(cudaMemcpyAsync(pointer(to), from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                          work()),
          "bytes to the GPU");
}
void download(void* to, uint64_t from, int64_t bytes) {
  require(cudaMemcpyAsync(to, pointer(from), static_cast<size_t>(bytes), cudaMemcpyDeviceToHost,
                          work()),
          "bytes from the GPU");
  require(cudaStreamSynchronize(work()), "work of the GPU");
}
void copy(uint64_t to, uint64_t from, int64_t bytes) {
  require(cudaMemcpyAsync(pointer(to), pointer(from), static_cast<size_t>(bytes),
                          cudaMemcpyDeviceToDevice, work()),
          "bytes of the GPU");
}
void fill_zero(uint64_t to, int64_t bytes) {
  require(cudaMemsetAsync(pointer(to), 0, static_cast<size_t>(bytes), work()), "zeros of the GPU");
}

}  // namespace machine
}  // namespace troupe::kernels::cuda

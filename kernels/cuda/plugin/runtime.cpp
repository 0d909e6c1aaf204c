#include "kernels/cuda/plugin/runtime.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/machine.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kDevice = 0;
constexpr int kCapabilityMin = 8;  // Tensor cores with bf16.

struct Runtime {
  cudaStream_t queue = nullptr;
  int capability = 0;  // Its major number.
};
Runtime runtime;

std::string text_of(cudaError_t error) { return cudaGetErrorString(error); }

void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw DeviceError(std::string(what) + ": " + text_of(error));
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
      cudaDeviceGetAttribute(&runtime.capability, cudaDevAttrComputeCapabilityMajor, kDevice);
  if (asked != cudaSuccess) return "the GPU does not say what it is: " + text_of(asked);
  if (runtime.capability < kCapabilityMin) {
    return "the GPU has compute capability " + std::to_string(runtime.capability) +
           "; 8 or more is needed, for products of bf16";
  }
  const cudaError_t made = cudaStreamCreateWithFlags(&runtime.queue, cudaStreamNonBlocking);
  return made == cudaSuccess ? "" : "the GPU takes no work: " + text_of(made);
}

namespace machine {

const char* name() { return "cuda"; }
const char* arithmetic_id() { return runtime.capability >= 9 ? "cuda-sm90-1" : "cuda-sm80-1"; }

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
  require(cudaMemsetAsync(memory, 0, size, runtime.queue), "zeros for memory of the GPU");
  require(cudaStreamSynchronize(runtime.queue), "zeros for memory of the GPU");
  return reinterpret_cast<uint64_t>(memory);
}

void release(uint64_t address) {
  if (address == 0) return;
  // A destructor calls this: where the device has failed, whoever waits next learns of it.
  cudaStreamSynchronize(runtime.queue);
  cudaFree(pointer(address));
}

StreamHandle queue() { return runtime.queue; }

// Memory that is not locked in place has been copied out of when the call returns (CUDA runtime,
// "API synchronization behavior").
void upload(uint64_t to, const void* from, int64_t bytes) {
  require(cudaMemcpyAsync(pointer(to), from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                          runtime.queue),
          "bytes to the GPU");
}
void download(void* to, uint64_t from, int64_t bytes) {
  require(cudaMemcpyAsync(to, pointer(from), static_cast<size_t>(bytes), cudaMemcpyDeviceToHost,
                          runtime.queue),
          "bytes from the GPU");
  require(cudaStreamSynchronize(runtime.queue), "work of the GPU");
}
void copy(uint64_t to, uint64_t from, int64_t bytes) {
  require(cudaMemcpyAsync(pointer(to), pointer(from), static_cast<size_t>(bytes),
                          cudaMemcpyDeviceToDevice, runtime.queue),
          "bytes of the GPU");
}
void fill_zero(uint64_t to, int64_t bytes) {
  require(cudaMemsetAsync(pointer(to), 0, static_cast<size_t>(bytes), runtime.queue),
          "zeros of the GPU");
}

}  // namespace machine
}  // namespace troupe::kernels::cuda

// What libtroupe_cuda.so has for who opens it: two functions. The library is built where nvcc is
// found; it needs a driver of NVIDIA's where it runs, and nothing of CUDA else.
#pragma once

#include <cstdint>

#include "kernels/backend.h"

namespace troupe::kernels::cuda {

inline constexpr const char* kPluginFunction = "troupe_cuda_backend";

// A table of the version that is asked for, which stays as long as the library does. Null where
// there is none, and then `why` is one line that says why.
using PluginFunction = const Backend*(uint32_t version, const char** why);

inline constexpr const char* kQueueFunction = "troupe_cuda_queue";

// Of the one queue that all streams of the table are, for who gives it work of its own.
struct QueueCalls {
  void* (*native)() = nullptr;  // A cudaStream_t.
  // A mark behind all work so far; the last one counts. Null, or why the device has failed.
  const char* (*mark)() = nullptr;
  // Whether the queue has come to the mark. `why` is set where the device has failed.
  bool (*has_passed)(const char** why) = nullptr;
};
// After a table was given.
using QueueFunction = const QueueCalls*();

}  // namespace troupe::kernels::cuda

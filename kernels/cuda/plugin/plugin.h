// What libtroupe_cuda.so has for who opens it: one function. The library is built where nvcc is
// found; it needs a driver of NVIDIA's where it runs, and nothing of CUDA else.
#pragma once

#include <cstdint>

#include "kernels/backend.h"

namespace troupe::kernels::cuda {

inline constexpr const char* kPluginFunction = "troupe_cuda_backend";

// A table of the version that is asked for, which stays as long as the library does. Null where
// there is none, and then `why` is one line that says why.
using PluginFunction = const Backend*(uint32_t version, const char** why);

}  // namespace troupe::kernels::cuda

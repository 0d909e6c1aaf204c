// The GPU of this machine for tests, where it has one: it is held to the emulation's bits.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "kernels/device_backend.h"
#include "tests/support/cuda_emulated/cuda_emulated.h"

namespace troupe::tests {

// Null where there is none. Where TROUPE_REQUIRE_GPU is set that is a failure, so that nobody takes
// what was left out for what was right. TROUPE_CUDA_LIBRARY names another library than the built
// one.
inline const kernels::Backend* gpu() {
#ifdef TROUPE_CUDA_PLUGIN
  const char* const named = std::getenv("TROUPE_CUDA_LIBRARY");
  static const auto opened = kernels::cuda_backend(named != nullptr ? named : TROUPE_CUDA_PLUGIN);
#else
  static const Result<const kernels::Backend*> opened =
      Error{ErrorCode::kUnavailable, "this build has no library for GPUs"};
#endif
  if (opened) return *opened;
  if (std::getenv("TROUPE_REQUIRE_GPU") != nullptr) FAIL(opened.error().message);
  return nullptr;
}

inline cuda_reference::TensorCore core_of(const kernels::Backend& backend) {
  return std::string(backend.arithmetic_id) == "cuda-sm80-1" ? cuda_reference::TensorCore::kSm80
                                                             : cuda_reference::TensorCore::kSm90;
}

}  // namespace troupe::tests

// The streams of a rank whose memory is the host's, and how the library of a host with GPUs is made
// to fail.
#pragma once

#include <dlfcn.h>

#include "kernels/collective/nccl_communicator.h"
#include "schemas/check.h"

namespace troupe::tests {

template <class Function>
Function* of_test_nccl(const char* name) {
  void* const library = ::dlopen(TROUPE_GPU_HOST_NCCL, RTLD_NOW | RTLD_LOCAL);
  TROUPE_CHECK(library != nullptr);
  auto* const function = reinterpret_cast<Function*>(::dlsym(library, name));
  TROUPE_CHECK(function != nullptr);
  return function;
}

// Each thread has one.
class HostStreams final : public kernels::collective::StreamEvents {
 public:
  void* native(kernels::Stream*) override { return of_this_thread(); }
  Status mark(kernels::Stream*) override { return ok(); }
  Result<bool> has_passed(kernels::Stream*) override { return under_way_(of_this_thread()) == 0; }

 private:
  static void* of_this_thread() {
    thread_local char place = 0;
    return &place;
  }

  int (*under_way_)(void*) = of_test_nccl<int(void*)>("troupe_test_nccl_under_way");
};

// The kinds are in nccl.cpp.
inline void let_nccl_fail(int kind, int rank) {
  of_test_nccl<void(int, int)>("troupe_test_nccl_fault")(kind, rank);
}

}  // namespace troupe::tests

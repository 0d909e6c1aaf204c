#include "kernels/cuda/plugin/plugin.h"

#include <string>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/plugin/runtime.h"

namespace {

using troupe::kernels::Backend;

struct Begun {
  std::string why = troupe::kernels::cuda::begin_runtime();
  Backend table{};
  Begun() {
    if (why.empty()) table = troupe::kernels::cuda::cuda_backend();
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const Backend* troupe_cuda_backend(
    uint32_t version, const char** why) {
  if (version != troupe::kernels::kBackendVersion) {
    *why = "it is of another version of Troupe; build both together";
    return nullptr;
  }
  static const Begun begun;
  *why = begun.why.c_str();
  return begun.why.empty() ? &begun.table : nullptr;
}

extern "C" __attribute__((visibility("default"))) const troupe::kernels::cuda::QueueCalls*
troupe_cuda_queue() {
  return &troupe::kernels::cuda::queue_calls();
}

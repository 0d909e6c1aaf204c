// Kernels as the host's compiler makes them.
#include "tests/kernels/cuda/engines.h"

namespace troupe::tests {

const std::vector<Engine>& engines() {
  static const std::vector<Engine> all = {
      {.name = "plain, sm_90", .tensor_core = cuda_reference::TensorCore::kSm90},
      {.name = "plain, sm_80", .tensor_core = cuda_reference::TensorCore::kSm80},
  };
  return all;
}

}  // namespace troupe::tests

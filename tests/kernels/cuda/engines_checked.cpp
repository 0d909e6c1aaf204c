// Kernels that report every access.
#include "tests/kernels/cuda/engines.h"

namespace troupe::tests {

const std::vector<Engine>& engines() {
  static const std::vector<Engine> all = {
      {.name = "checked, sm_90",
       .tensor_core = cuda_reference::TensorCore::kSm90,
       .is_checked = true},
  };
  return all;
}

}  // namespace troupe::tests

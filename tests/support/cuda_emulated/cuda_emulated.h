// CUDA kernels as a backend on a host processor: the table of kernels/cuda over tests/support/simt.
// Its name is cuda-emulated, and it exists in tests alone. Threads may use it; they take turns.
#pragma once

#include "kernels/backend.h"
#include "tests/support/cuda_reference/mma.h"

namespace troupe::tests {

// The backend with these tensor cores, which launches have from now on.
const kernels::Backend& cuda_emulated(
    cuda_reference::TensorCore core = cuda_reference::TensorCore::kSm90);

}  // namespace troupe::tests

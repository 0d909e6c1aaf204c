// The machine of machine.h: one GPU, by the CUDA runtime.
#pragma once

#include <string>

namespace troupe::kernels::cuda {

// Finds the GPU, the first that this process is let see (CUDA_VISIBLE_DEVICES), and makes its
// queue. An empty text, or one line that says why there is no machine. Once, before the machine is
// used.
std::string begin_runtime();

}  // namespace troupe::kernels::cuda

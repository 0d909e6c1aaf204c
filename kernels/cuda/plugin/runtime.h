// The machine of machine.h: one GPU, by the CUDA runtime.
#pragma once

#include <string>

#include "kernels/cuda/plugin/plugin.h"

namespace troupe::kernels::cuda {

// Finds the GPU, the first that this process is let see (CUDA_VISIBLE_DEVICES), and takes nothing
// of it yet. An empty text, or one line that says why there is no machine. Once, before the machine
// is used.
std::string begin_runtime();

// Of the GPU's queue.
const QueueCalls& queue_calls();

}  // namespace troupe::kernels::cuda

// CUDA kernels as a backend: the table of all operations over the machine that the program is
// linked with (machine.h).
#pragma once

#include "kernels/backend.h"

namespace troupe::kernels::cuda {

// Streams are of Precision::kBf16 alone: tensor cores that this arithmetic is made of have no
// floats.
Backend cuda_backend();

}  // namespace troupe::kernels::cuda

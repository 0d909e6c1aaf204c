// The CPU's backends: one arithmetic, `cpu-1`, in five instruction sets with the same bits.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/backend.h"
#include "schemas/result.h"

namespace troupe::kernels {

// Those that this machine can run, best first: "amx", "avx512bf16" and "avx512" with the faster one
// first, "avx2", "portable". Portable is always there.
const std::vector<const Backend*>& cpu_backends();

// The one named by the environment variable TROUPE_CPU, else the best. kInvalidArgument when the
// name is unknown or the machine lacks it, listing what there is.
Result<const Backend*> cpu_backend();

}  // namespace troupe::kernels

// AVX2 with FMA.
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/workspace.h"
#include "kernels/elementary.h"

#define TROUPE_LANES "kernels/cpu/lanes_avx2.inl"

namespace troupe::kernels::cpu {
namespace {

#include "kernels/cpu/isa.inl"

}  // namespace

Backend avx2_operations() { return operations("avx2"); }

}  // namespace troupe::kernels::cpu

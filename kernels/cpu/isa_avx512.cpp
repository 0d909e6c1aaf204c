// AVX-512 (F, BW, VL, DQ).
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/workspace.h"
#include "kernels/elementary.h"

#define TROUPE_LANES "kernels/cpu/lanes_avx512.inl"

namespace troupe::kernels::cpu {
namespace {

#include "kernels/cpu/isa.inl"

}  // namespace

Backend avx512_operations() { return operations("avx512"); }

}  // namespace troupe::kernels::cpu

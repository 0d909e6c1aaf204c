// The definition: plain C++ for any x86-64.
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/workspace.h"
#include "kernels/elementary.h"

namespace troupe::kernels::cpu {
namespace {

inline float bits_to_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t float_to_bits(float x) { return __builtin_bit_cast(uint32_t, x); }

// Each is written in terms of those before it.
// clang-format off
#include "kernels/cpu/lanes_portable.inl"
#include "kernels/cpu/product.inl"
#include "kernels/cpu/ops.inl"
#include "kernels/cpu/attention.inl"
#include "kernels/cpu/operations.inl"
// clang-format on

}  // namespace

Backend portable_operations() { return operations("portable"); }

}  // namespace troupe::kernels::cpu

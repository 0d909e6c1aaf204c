// All operations of one instruction set, over the lanes that TROUPE_LANES names. Included once by
// each isa_*.cpp inside an anonymous namespace, so that no function of one is taken for another's.
// Each file is written in terms of those before it.

inline float bits_to_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t float_to_bits(float x) { return __builtin_bit_cast(uint32_t, x); }

// clang-format off
#include TROUPE_LANES
#include "kernels/cpu/product.inl"
#include "kernels/cpu/ops.inl"
#include "kernels/cpu/logits.inl"
#include "kernels/cpu/attention.inl"
#include "kernels/cpu/operations.inl"
// clang-format on

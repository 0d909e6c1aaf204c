// What a tensor core computes, in plain C++: the published arithmetic of mma.m16n8k16 with bf16
// operands and float sums. kernels/cuda/README.md states it; this file is its definition in code,
// for the emulated tensor cores and for the reference product.
//
// Source: MMA-Sim (Xie et al., arXiv 2511.10909), which finds the bits of the GPUs it was compared
// to.
#pragma once

#include <cstdint>

namespace troupe::cuda_reference {

enum class TensorCore {
  kSm80,  // 8.0 to 8.9: two sums of eight products, 24 bits behind the point.
  kSm90,  // 9.0 and later: one sum of sixteen products, 25 bits.
};

// c + sum over i of a[i] b[i], sixteen bf16 values each.
float dot16(TensorCore core, const uint16_t* a, const uint16_t* b, float c);

// d += a b, b being given by columns: d[m][n] = dot16(a[m], b[n], d[m][n]). The same bits as that,
// and faster.
void mma_m16n8k16(TensorCore core, float (&d)[16][8], const uint16_t (&a)[16][16],
                  const uint16_t (&b)[8][16]);

}  // namespace troupe::cuda_reference

// AVX-512 with the products by VDPBF16PS.
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/workspace.h"
#include "kernels/elementary.h"

#define TROUPE_LANES "kernels/cpu/lanes_avx512.inl"
#define TROUPE_DOT

namespace troupe::kernels::cpu {
namespace {

#include "kernels/cpu/isa.inl"

// Operands that a processor might treat otherwise: of similar size, of any size, around the
// smallest normal number, and subnormal ones.
__m512i operands(uint32_t& state, int regime) {
  alignas(64) uint16_t halves[32];
  for (uint16_t& half : halves) {
    state = state * 1664525 + 1013904223;
    const uint32_t bits = state >> 16, exponent = state >> 8 & 0xff;
    const uint32_t exponents[] = {120 + exponent % 8, 64 + exponent % 128, 58 + exponent % 14,
                                  exponent % 2 == 0 ? 0 : 58 + exponent % 14};
    half = static_cast<uint16_t>((bits & 0x807f) | exponents[regime] << 7);
  }
  return _mm512_load_si512(halves);
}

}  // namespace

bool dot_is_two_links() {
  const FlushSubnormals scope;
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  uint32_t state = 1;
  for (int regime = 0; regime < 4; ++regime) {
    __m512 chain = _mm512_setzero_ps(), wanted = chain;
    for (int i = 0; i < 256; ++i) {
      if (i % 8 == 0) chain = wanted = _mm512_setzero_ps();
      const __m512i x = operands(state, regime), w = operands(state, regime);
      chain = _mm512_dpbf16_ps(chain, (__m512bh)x, (__m512bh)w);
      wanted = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(x, upper)),
                               _mm512_castsi512_ps(_mm512_and_si512(w, upper)), wanted);
      wanted = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(x, 16)),
                               _mm512_castsi512_ps(_mm512_slli_epi32(w, 16)), wanted);
      if (_mm512_cmpneq_epi32_mask(_mm512_castps_si512(chain), _mm512_castps_si512(wanted)) != 0) {
        return false;
      }
    }
  }
  return true;
}

Backend avx512bf16_operations() { return operations("avx512bf16"); }

}  // namespace troupe::kernels::cpu

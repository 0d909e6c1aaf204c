#include "kernels/cpu/ceilings.h"

#include <immintrin.h>

namespace troupe::kernels::cpu {
namespace {

// Keeps a result that nobody reads.
volatile float sink;

}  // namespace

// 12 chains hide a latency of 4..5 on two units and leave registers free.
__attribute__((target("avx2,fma"))) double fma_loop_avx2(int64_t rounds) {
  constexpr int kChains = 12;
  __m256 c[kChains];
  for (int i = 0; i < kChains; ++i) c[i] = _mm256_set1_ps(static_cast<float>(i));
  __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
  for (int64_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+x"(a), "+x"(b));  // Not known to be the same in every round.
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) c[i] = _mm256_fmadd_ps(a, c[i], b);
  }
  for (int i = 1; i < kChains; ++i) c[0] = _mm256_add_ps(c[0], c[i]);
  sink = _mm256_cvtss_f32(c[0]);
  return static_cast<double>(rounds) * kChains * 8 * 2;
}

__attribute__((target("avx512f"))) double fma_loop_avx512(int64_t rounds) {
  constexpr int kChains = 24;
  __m512 c[kChains];
  for (int i = 0; i < kChains; ++i) c[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
  for (int64_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) c[i] = _mm512_fmadd_ps(a, c[i], b);
  }
  for (int i = 1; i < kChains; ++i) c[0] = _mm512_add_ps(c[0], c[i]);
  sink = _mm512_cvtss_f32(c[0]);
  return static_cast<double>(rounds) * kChains * 16 * 2;
}

__attribute__((target("avx512f,avx512bf16"))) double dot_loop_avx512bf16(int64_t rounds) {
  constexpr int kChains = 24;
  __m512 c[kChains];
  for (int i = 0; i < kChains; ++i) c[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512i a = _mm512_set1_epi32(0x3f003f00), b = _mm512_set1_epi32(0x3e803e80);  // 0.5, 0.25
  for (int64_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) c[i] = _mm512_dpbf16_ps(c[i], (__m512bh)a, (__m512bh)b);
  }
  for (int i = 1; i < kChains; ++i) c[0] = _mm512_add_ps(c[0], c[i]);
  sink = _mm512_cvtss_f32(c[0]);
  return static_cast<double>(rounds) * kChains * 16 * 4;
}

namespace {

constexpr double kTileFlops = 16.0 * 16 * 32 * 2;

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace

// Leaves the tiles configured as product_amx.inl has them, which takes its own for given.
__attribute__((target("amx-tile,amx-bf16"))) double tile_loop_amx(int64_t rounds) {
  static constexpr TileConfig config;
  _tile_loadconfig(&config);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return static_cast<double>(rounds) * 4 * kTileFlops;
}

__attribute__((target("amx-tile,amx-bf16"))) double tile_loop_amx_loads(int64_t rounds,
                                                                        const char* memory,
                                                                        int64_t bytes) {
  static constexpr TileConfig config;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t at = 0; at < bytes; at += 4096) {
      _tile_loadd(4, memory + at, 64);
      _tile_loadd(6, memory + at + 1024, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, memory + at + 2048, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, memory + at + 3072, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  return static_cast<double>(rounds) * static_cast<double>(bytes / 4096) * 4 * kTileFlops;
}

__attribute__((target("avx2"))) double read_loop(int64_t rounds, const char* memory,
                                                 int64_t bytes) {
  __m256i all[4] = {};
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t at = 0; at < bytes; at += 1024) {
      const auto* from = reinterpret_cast<const __m256i*>(memory + at);
#pragma GCC unroll 32
      for (int i = 0; i < 32; ++i) {
        all[i % 4] = _mm256_or_si256(all[i % 4], _mm256_load_si256(from + i));
      }
    }
    asm volatile("" ::: "memory");
  }
  all[0] = _mm256_or_si256(_mm256_or_si256(all[0], all[1]), _mm256_or_si256(all[2], all[3]));
  sink = static_cast<float>(_mm256_extract_epi32(all[0], 0));
  return static_cast<double>(rounds) * static_cast<double>(bytes);
}

}  // namespace troupe::kernels::cpu

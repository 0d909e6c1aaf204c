// What this machine can do at most, measured by loops that do nothing else: the bounds that the
// speed of kernels is given as a fraction of.
#pragma once

#include <cstdint>

namespace troupe::kernels::cpu {

// Each call does its loop once on the calling thread and returns how much was done: floating-point
// operations, or bytes read. The caller takes the time. `rounds` scales the work.
//
// Multiply-adds on registers alone; two operations each. The instruction set must be there
// ("avx2", "avx512", "avx512bf16", "amx").
double fma_loop_avx2(int64_t rounds);
double fma_loop_avx512(int64_t rounds);
// Pairs of bf16 products added to a float; four operations to a lane.
double dot_loop_avx512bf16(int64_t rounds);
// Tile products on registers alone, and two by two with every tile loaded from `memory`, at least
// `bytes` (a multiple of 4096) of it.
double tile_loop_amx(int64_t rounds);
double tile_loop_amx_loads(int64_t rounds, const char* memory, int64_t bytes);
// Every byte of `memory` once per round; bytes is a multiple of 1024, aligned to 64. Needs AVX2.
double read_loop(int64_t rounds, const char* memory, int64_t bytes);

// Part of the peak of fused multiply-adds that `cpu-1` can reach: per output and block of 32 it has
// 32 of them in two chains, and two additions (even + odd, and that to c) that take as many slots
// where additions run on the same units. Where they have units of their own (AMD Zen) a kernel may
// pass it.
inline constexpr double kChainFraction = 32.0 / 34.0;

}  // namespace troupe::kernels::cpu

// What kernels are written in: the only door to threads, warps, barriers, asynchronous copies and
// tensor cores. With nvcc it is CUDA and PTX; with a host compiler it is host.h, and no header of
// CUDA is needed. C++17.
//
// Rules for kernels: operations of warps with all lanes (others work, but order no memory); no
// return before a barrier; no block waits for another; no atomic additions of floats, so there are
// none here; no contraction by the compiler (--fmad=false): a fused multiply-add is written fma().
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device_types.h"

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define TROUPE_KERNEL(threads) __global__ void __launch_bounds__(threads)
#define TROUPE_DEVICE __device__ __forceinline__
#define TROUPE_UNROLL _Pragma("unroll")
#define TROUPE_NO_UNROLL _Pragma("unroll 1")
#define TROUPE_SHARED(T, name, n) __shared__ T name[n]
#define TROUPE_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

namespace troupe::kernels::cuda {

using Extent = dim3;
struct NoPlace {};  // Only a host's reports name places.
using Place = NoPlace;
TROUPE_DEVICE constexpr Place here() { return {}; }

TROUPE_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
TROUPE_DEVICE Extent block_index() { return {blockIdx.x, blockIdx.y, blockIdx.z}; }
TROUPE_DEVICE Extent grid_extent() { return {gridDim.x, gridDim.y, gridDim.z}; }

TROUPE_DEVICE void sync_block(Place = {}) { __syncthreads(); }
TROUPE_DEVICE void sync_some(int id, int threads, Place = {}) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
TROUPE_DEVICE void sync_warp(uint32_t mask, Place = {}) { __syncwarp(mask); }
template <class T>
TROUPE_DEVICE T shuffle(uint32_t mask, T value, int from_lane, Place = {}) {
  return __shfl_sync(mask, value, from_lane);
}
template <class T>
TROUPE_DEVICE T shuffle_xor(uint32_t mask, T value, int lanes, Place = {}) {
  return __shfl_xor_sync(mask, value, lanes);
}
TROUPE_DEVICE uint32_t ballot(uint32_t mask, bool predicate, Place = {}) {
  return __ballot_sync(mask, predicate);
}
TROUPE_DEVICE int32_t atomic_add(int32_t* to, int32_t value, Place = {}) {
  return atomicAdd(to, value);
}

TROUPE_DEVICE float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
TROUPE_DEVICE float divide(float a, float b) { return __fdiv_rn(a, b); }
TROUPE_DEVICE float square_root(float x) { return __fsqrt_rn(x); }
TROUPE_DEVICE int trailing_zeros(uint32_t bits) { return __popc(~bits & (bits - 1)); }
TROUPE_DEVICE int population(uint32_t bits) { return __popc(bits); }

TROUPE_DEVICE uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
TROUPE_DEVICE void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                     Place = {}) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
TROUPE_DEVICE void load_matrix_x4(uint32_t (&r)[4], const void* row, Place = {}) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
TROUPE_DEVICE void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row, Place = {}) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
TROUPE_DEVICE void copy_async16(void* to, const void* from, int bytes_read, Place = {}) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(bytes_read)
               : "memory");
}
TROUPE_DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int groups_left>
TROUPE_DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups_left) : "memory");
}

}  // namespace troupe::kernels::cuda

#else

#include "kernels/cuda/host.h"

#define TROUPE_KERNEL(threads) void
#define TROUPE_DEVICE inline __attribute__((always_inline))
#define TROUPE_UNROLL
#define TROUPE_NO_UNROLL
// An array of the block.
#define TROUPE_SHARED(T, name, n)                                           \
  static const ::troupe::kernels::cuda::host::SharedSlot<T, n> name##_slot; \
  T(&name)[n] = *name##_slot.values
// The bytes that launch() was asked for.
#define TROUPE_DYNAMIC_SHARED(name) \
  unsigned char* name = ::troupe::kernels::cuda::host::dynamic_shared()

namespace troupe::kernels::cuda {

TROUPE_DEVICE int thread_index() { return static_cast<int>(host::thread_index().x); }
TROUPE_DEVICE Extent block_index() { return host::block_index(); }
TROUPE_DEVICE Extent grid_extent() { return host::grid_extent(); }

TROUPE_DEVICE void sync_block(Place place = here()) { host::barrier(0, 0, place); }
// A barrier of `threads` threads, whole warps, with a number from 1 to 15.
TROUPE_DEVICE void sync_some(int id, int threads, Place place = here()) {
  host::barrier(id, static_cast<unsigned>(threads), place);
}
TROUPE_DEVICE void sync_warp(uint32_t mask, Place place = here()) { host::sync_warp(mask, place); }
template <class T>
TROUPE_DEVICE T shuffle_on_host(const char* what, uint32_t mask, T value, int from_lane,
                                Place place) {
  static_assert(sizeof(T) == 4, "a shuffle moves four bytes");
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  bits = host::shuffle(what, mask, bits, static_cast<unsigned>(from_lane) & 31, place);
  __builtin_memcpy(&value, &bits, 4);
  return value;
}
template <class T>
TROUPE_DEVICE T shuffle(uint32_t mask, T value, int from_lane, Place place = here()) {
  return shuffle_on_host("shuffle", mask, value, from_lane, place);
}
template <class T>
TROUPE_DEVICE T shuffle_xor(uint32_t mask, T value, int lanes, Place place = here()) {
  return shuffle_on_host("shuffle_xor", mask, value, (thread_index() & 31) ^ lanes, place);
}
TROUPE_DEVICE uint32_t ballot(uint32_t mask, bool predicate, Place place = here()) {
  return host::ballot(mask, predicate, place);
}
TROUPE_DEVICE int32_t atomic_add(int32_t* to, int32_t value, Place place = here()) {
  return host::atomic_add(to, value, place);
}

TROUPE_DEVICE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
TROUPE_DEVICE float divide(float a, float b) { return a / b; }
TROUPE_DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
// Below the lowest bit that is set. There is one.
TROUPE_DEVICE int trailing_zeros(uint32_t bits) { return __builtin_ctz(bits); }
// Bits that are set.
TROUPE_DEVICE int population(uint32_t bits) { return __builtin_popcount(bits); }

// d (16, 8) += a (16, 16) b (16, 8) on tensor cores; fragments as PTX's mma.m16n8k16 has them.
TROUPE_DEVICE void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                     Place place = here()) {
  host::mma_m16n8k16_bf16(d, a, b, place);
}
// Four 8 x 8 matrices from shared memory; each lane names one row of sixteen bytes.
TROUPE_DEVICE void load_matrix_x4(uint32_t (&r)[4], const void* row, Place place = here()) {
  host::load_matrix_x4(r, row, place);
}
// The same, of each matrix its transpose.
TROUPE_DEVICE void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row,
                                             Place place = here()) {
  host::load_matrix_x4_transposed(r, row, place);
}
// Starts a copy of sixteen bytes to shared memory: `bytes_read` from `from`, then zeros. Both
// addresses are multiples of 16.
TROUPE_DEVICE void copy_async16(void* to, const void* from, int bytes_read, Place place = here()) {
  host::copy_async(to, from, 16, static_cast<unsigned>(bytes_read), place);
}
// Ends a group of copies. After copy_wait<n>() all but the thread's last n groups have come.
TROUPE_DEVICE void copy_commit() { host::copy_commit(); }
template <int groups_left>
TROUPE_DEVICE void copy_wait() {
  host::copy_wait(groups_left);
}

}  // namespace troupe::kernels::cuda

#endif

namespace troupe::kernels::cuda {

constexpr int kWarp = 32;
constexpr uint32_t kAllLanes = 0xFFFFFFFF;

struct alignas(16) Float4 {
  float x, y, z, w;
};

template <class T>
TROUPE_DEVICE T* at(Device<T> device) {
  return reinterpret_cast<T*>(device.address);
}
TROUPE_DEVICE uint16_t* bf16_at(Stored stored) {
  return reinterpret_cast<uint16_t*>(stored.address);
}

TROUPE_DEVICE uint32_t bits_of(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}
TROUPE_DEVICE float float_of(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}
TROUPE_DEVICE float from_bf16(uint16_t x) { return float_of(static_cast<uint32_t>(x) << 16); }
// To nearest, ties to even, any NaN to 0x7FFF: the bits of cvt.rn.bf16.f32.
TROUPE_DEVICE uint16_t to_bf16(float x) {
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FFF;
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// The sum over a warp's lanes, the same bits in each: x[l] += x[l ^ 16], then ^ 8, 4, 2, 1.
TROUPE_DEVICE float warp_sum(float x, Place place = here()) {
  TROUPE_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) x += shuffle_xor(kAllLanes, x, lanes, place);
  return x;
}

}  // namespace troupe::kernels::cuda

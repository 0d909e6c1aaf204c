// What every instruction set's source shares: plain types only, so that no function of the standard
// library is compiled for an instruction set that the machine may lack.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "schemas/check.h"

namespace troupe::kernels::cpu {

inline constexpr int64_t kExpertsMax = 1024;  // For buffers on the stack.

// Columns of the rows of all experts that combine_experts() holds at a time: a multiple of 16, and
// with all rows at most so many floats, unless there are more rows than for the fewest columns.
inline constexpr int64_t kCombinedFloats = 128 << 10, kCombinedColumnsMin = 32;
constexpr int64_t combined_columns(int64_t rows) {
  const int64_t columns = kCombinedFloats / rows / 16 * 16;
  return columns < kCombinedColumnsMin ? kCombinedColumnsMin : columns;
}

// A place in a stream's memory. Passed by value: what a callee takes is free again when it returns.
struct Workspace {
  char* next = nullptr;
  char* end = nullptr;

  template <class T>
  T* take(int64_t count) {
    const int64_t bytes = (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    TROUPE_CHECK(bytes <= end - next);  // The plan was too small for this operation.
    T* p = reinterpret_cast<T*>(next);
    next += bytes;
    return p;
  }
};

// Fixed for the life of a stream.
struct StreamState {
  Precision precision = Precision::kBf16;
  char* memory = nullptr;
  int64_t bytes = 0;

  Workspace workspace() const { return {memory, memory + bytes}; }
};

// Uniform in [0, 1) from the key alone.
double sample_uniform(const SampleKey& key);
// order = ids by falling p, ties by rising id.
void sort_by_probability(int32_t* order, const float* p, int64_t V);

// The operations of one instruction set, or null where this build has none. Memory and streams are
// the same for all and filled in by cpu_backend.cpp.
Backend portable_operations();
Backend avx2_operations();
Backend avx512_operations();
Backend avx512bf16_operations();
// Whether this processor's VDPBF16PS is two successive links of a chain of `cpu-1`, tried on some
// thousands of operands. Needs AVX512_BF16.
bool dot_is_two_links();
Backend amx_operations();

}  // namespace troupe::kernels::cpu

// What kernels ask of a machine that runs them on a host processor instead of a GPU: device.h and
// launch.h call these functions where no device compiler reads them. The layer of kernels declares
// what it needs and implements none of it; tests/support/simt is such a machine.
//
// A function of this file is called from inside a kernel, on behalf of one thread of a block,
// unless it says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::kernels::cuda {

// Threads of a block or blocks of a grid, as dim3.
struct Extent {
  unsigned x, y, z;
  constexpr Extent(unsigned width = 1, unsigned height = 1, unsigned depth = 1)
      : x(width), y(height), z(depth) {}
};

// Where in a kernel's source an operation stands: threads that meet name it, and so do reports.
struct Place {
  const char* file;
  int line;
};
// Where it is called; as a default argument: where the function is called that has it. Braces
// around these builtins would name the line of the declaration.
constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return {file, line};
}

namespace host {

Extent thread_index();
Extent block_index();
Extent block_extent();
Extent grid_extent();

// A barrier of `threads` threads of the block; 0: of all. Number 0 is the whole block's.
void barrier(int id, unsigned threads, Place place);

// Operations of the lanes in `mask`, all of which must come to the same place.
void sync_warp(uint32_t mask, Place place);
uint32_t shuffle(const char* what, uint32_t mask, uint32_t value, unsigned from_lane, Place place);
uint32_t ballot(uint32_t mask, bool predicate, Place place);

// Of all 32 lanes; the layout of fragments is PTX's. d (16, 8) += a (16, 16) b (16, 8).
void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, Place place);
// Four matrices of 8 x 8 elements of two bytes; lane l names row l % 8 of matrix l / 8.
void load_matrix_x4(uint32_t* r, const void* row, Place place);
// The same, and each matrix transposed.
void load_matrix_x4_transposed(uint32_t* r, const void* row, Place place);

// Starts to copy `bytes` bytes, the first `bytes_read` of them from `from` and zeros behind.
void copy_async(void* to, const void* from, unsigned bytes, unsigned bytes_read, Place place);
void copy_commit();
void copy_wait(unsigned groups_left);

int32_t atomic_add(int32_t* to, int32_t value, Place place);

// The block's shared memory: what launch() gave, and slots that live as long as the program. The
// second is called by a kernel's static initialiser.
unsigned char* dynamic_shared();
void* shared_slot(size_t bytes);

template <class T, size_t n>
struct SharedSlot {
  T (*values)[n] = static_cast<T (*)[n]>(shared_slot(n * sizeof(T)));
};

// An argument of a kernel, as the host has it.
struct Argument {
  const void* value;
  size_t bytes;
};

struct Launch {
  const void* kernel;  // The address of its function, which is its name too.
  Extent grid;
  Extent block;
  size_t shared_bytes;
  const Argument* arguments;
  size_t num_arguments;
  void (*body)(const void* context);  // Calls the kernel with its arguments, once for a thread.
  const void* context;
};

// Called by the host: runs all threads and returns when they have ended or were given up.
void run(const Launch& launch);

}  // namespace host
}  // namespace troupe::kernels::cuda

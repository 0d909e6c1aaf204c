// What the table of a CUDA backend asks of the machine below it, besides launch(): memory, and one
// queue of work. This layer declares it; the CUDA runtime implements it where there is a GPU, and
// tests/support/cuda_emulated on a host processor.
//
// There is one queue, whatever number of streams a backend is asked for: model/ hands work from one
// stream to another by waiting on the host, which orders it on one queue and on no other. All
// functions may be called by any thread. They throw DeviceError where the device fails.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"

namespace troupe::kernels::cuda::machine {

const char* name();           // Of the backend.
const char* arithmetic_id();  // See README.md.

// Zeroed, on a multiple of 64 bytes; 0 where there is no memory.
uint64_t allocate(int64_t bytes);
// Waits for the work that may use it. 0 is allowed.
void release(uint64_t address);

StreamHandle queue();

// In the queue's order, of bytes > 0. upload() returns when `from` may be changed, download() when
// all is there.
void upload(uint64_t to, const void* from, int64_t bytes);
void download(void* to, uint64_t from, int64_t bytes);
void copy(uint64_t to, uint64_t from, int64_t bytes);
void fill_zero(uint64_t to, int64_t bytes);

}  // namespace troupe::kernels::cuda::machine

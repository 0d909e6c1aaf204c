// Parts of matrices of bf16 on their way to shared memory.
#pragma once

#include "kernels/cuda/device.h"

namespace troupe::kernels::cuda {

constexpr int kChunk = 8;  // Elements of one asynchronous copy, sixteen bytes.

// Copies the eight elements at `from`, of which the first `elements` are there; zeros behind them.
// Where `is_aligned`, the copy is asynchronous: `from` lies on sixteen bytes and so does
// `anywhere`, an address that can be read. Else it has been done on return, as other writes are.
TROUPE_DEVICE void copy_chunk(uint16_t* to, const uint16_t* from, int elements,
                              const uint16_t* anywhere, bool is_aligned, Place place = here()) {
  if (elements < 0) elements = 0;
  if (elements > kChunk) elements = kChunk;
  if (is_aligned) {
    copy_async16(to, elements > 0 ? from : anywhere, elements * 2, place);
    return;
  }
  TROUPE_UNROLL
  for (int i = 0; i < kChunk; ++i) to[i] = i < elements ? from[i] : static_cast<uint16_t>(0);
}

}  // namespace troupe::kernels::cuda

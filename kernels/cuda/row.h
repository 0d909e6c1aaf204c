// What a block of 256 threads does with a row of floats: thread t has the elements 4 t to 4 t + 3,
// and those 1024 further, and so on. The arithmetic has 256 partial sums (README.md), so their
// number is no free choice.
#pragma once

#include "kernels/cuda/device.h"

namespace troupe::kernels::cuda {

constexpr int kRowThreads = 256, kRowWarps = kRowThreads / kWarp, kRowStep = 4 * kRowThreads;

// Whether rows that begin `ld` elements apart lie on sixteen bytes.
template <class T>
inline bool rows_are_aligned(Device<T> rows, int64_t ld) {
  return ld % 4 == 0 && rows.address % 16 == 0;
}

// Elements [d, d + 4) of a row, zeros behind D. `is_aligned` says that the row lies on 16 bytes.
TROUPE_DEVICE Float4 four(const float* row, int d, int D, bool is_aligned) {
  if (is_aligned && d + 4 <= D) return *reinterpret_cast<const Float4*>(row + d);
  return {row[d], d + 1 < D ? row[d + 1] : 0, d + 2 < D ? row[d + 2] : 0,
          d + 3 < D ? row[d + 3] : 0};
}

// The sum of the threads' partials, the same bits in each. `partials` is used for one sum of the
// kernel.
TROUPE_DEVICE float row_sum(float sum, float (&partials)[kRowWarps], Place place = here()) {
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  sum = warp_sum(sum, place);
  if (lane == 0) partials[warp] = sum;
  sync_block(place);
  sum = partials[lane % kRowWarps];
  TROUPE_UNROLL
  for (int lanes = kRowWarps / 2; lanes > 0; lanes /= 2) {
    sum += shuffle_xor(kAllLanes, sum, lanes, place);
  }
  return sum;
}

}  // namespace troupe::kernels::cuda

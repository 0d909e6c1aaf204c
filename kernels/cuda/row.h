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

constexpr int kRowPartials = 16;  // Of a sum over rows (README.md): a warp has two of them.
static_assert(kRowPartials == 2 * kRowWarps);
constexpr int64_t kRowSegment = 8192;  // Rows whose sum is formed before it is added.

// `before` with the sum over rows of a column, in the first warp. A block has 32 columns; lanes are
// columns, warp w has the rows n with n mod 8 = w. with_row(partial, n) is a partial to which row n
// was added; it is asked only where the column `is_inside`.
template <class WithRow>
TROUPE_DEVICE float column_sum(float before, int64_t N, bool is_inside,
                               float (&partials)[kRowThreads], const WithRow& with_row) {
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  float total = before;
  for (int64_t begin = 0; begin < N; begin += kRowSegment) {
    const int64_t end = begin + kRowSegment < N ? begin + kRowSegment : N;
    float low = 0, high = 0;  // Partials `warp` and `warp` + 8.
    for (int64_t n = begin + warp; is_inside && n < end; n += kRowPartials) {
      low = with_row(low, n);
      if (n + kRowWarps < end) high = with_row(high, n + kRowWarps);
    }
    partials[thread_index()] = low + high;
    sync_block();
    if (warp == 0) {
      float fours[4];
      TROUPE_UNROLL
      for (int i = 0; i < 4; ++i) {
        fours[i] = partials[i * kWarp + lane] + partials[(i + 4) * kWarp + lane];
      }
      total += (fours[0] + fours[2]) + (fours[1] + fours[3]);
    }
    sync_block();  // They are free for the next segment.
  }
  return total;
}

}  // namespace troupe::kernels::cuda

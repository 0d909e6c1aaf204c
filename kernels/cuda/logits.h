// What is done with a row of logits by a block of 256 threads.
#pragma once

#include "kernels/cuda/elementary.h"
#include "kernels/cuda/row.h"

namespace troupe::kernels::cuda {

struct LogitsShared {
  float (&maxima)[kRowWarps];
  float (&partials)[kRowWarps];
};

// ln of the sum of exp(logit / temperature), the same bits in each thread; for one row of a kernel.
TROUPE_DEVICE float row_lse(const float* logit, int V, float temperature, bool is_aligned,
                            const LogitsShared& shared, Place place = here()) {
  float most = -3.0e38f;
  for (int first = thread_index() * 4; first < V; first += kRowStep) {
    const Float4 v = four(logit, first, V, is_aligned);
    const float x[4] = {v.x, v.y, v.z, v.w};
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (first + i < V && x[i] > most) most = x[i];
    }
  }
  TROUPE_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const float other = shuffle_xor(kAllLanes, most, lanes, place);
    most = other > most ? other : most;
  }
  if (thread_index() % kWarp == 0) shared.maxima[thread_index() / kWarp] = most;
  sync_block(place);
  TROUPE_UNROLL
  for (int w = 0; w < kRowWarps; ++w) most = shared.maxima[w] > most ? shared.maxima[w] : most;
  const float max = divide(most, temperature);

  float sum = 0;
  for (int first = thread_index() * 4; first < V; first += kRowStep) {
    const Float4 v = four(logit, first, V, is_aligned);
    const float x[4] = {v.x, v.y, v.z, v.w};
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (first + i < V) sum += exponential(divide(x[i], temperature) - max);
    }
  }
  return max + logarithm(row_sum(sum, shared.partials, place));
}

}  // namespace troupe::kernels::cuda

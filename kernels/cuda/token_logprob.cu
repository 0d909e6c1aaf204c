// token_logprob.h on CUDA: a block for each row of logits, which is read and never written; its
// gradient element by element.
#include "kernels/token_logprob.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/logits.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kEach = 4, kColumns = kRowThreads * kEach;  // Of a block.

}  // namespace

TROUPE_KERNEL(kRowThreads) token_logprob_kernel(TokenLogprob args, bool is_aligned) {
  TROUPE_SHARED(float, maxima, kRowWarps);
  TROUPE_SHARED(float, partials, kRowWarps);
  TROUPE_SHARED(float, entropies, kRowWarps);
  const int V = static_cast<int>(args.V);
  const int64_t n = block_index().x;
  const float* logit = at(args.logit) + n * V;
  const float lse = row_lse(logit, V, args.temperature, is_aligned, {maxima, partials});
  if (thread_index() == 0) {
    at(args.lse)[n] = lse;
    at(args.logprob)[n] = divide(logit[at(args.token)[n]], args.temperature) - lse;
  }
  if (args.entropy.address == 0) return;
  float sum = 0;
  for (int first = thread_index() * 4; first < V; first += kRowStep) {
    const Float4 v = four(logit, first, V, is_aligned);
    const float x[4] = {v.x, v.y, v.z, v.w};
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (first + i >= V) continue;
      const float z = divide(x[i], args.temperature);
      sum = fma(exponential(z - lse), z, sum);
    }
  }
  sum = row_sum(sum, entropies);
  if (thread_index() == 0) at(args.entropy)[n] = lse - sum;
}

TROUPE_KERNEL(kRowThreads) token_logprob_backward_kernel(TokenLogprobBackward args) {
  const int64_t n = block_index().x;
  const float* logit = at(args.logit) + n * args.V;
  uint16_t* dlogit = bf16_at(args.dlogit) + n * args.V;
  const float d = divide(at(args.dlogprob)[n], args.temperature), lse = at(args.lse)[n];
  const int64_t token = at(args.token)[n];
  TROUPE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t v =
        static_cast<int64_t>(block_index().y) * kColumns + i * kRowThreads + thread_index();
    if (v >= args.V) continue;
    const float p = exponential(divide(logit[v], args.temperature) - lse);
    dlogit[v] = to_bf16(d * ((v == token ? 1.0f : 0.0f) - p));
  }
}

void token_logprob(StreamHandle stream, const TokenLogprob& args) {
  TROUPE_CHECK(args.V > 0 && args.V <= INT32_MAX / 2);
  TROUPE_CHECK(args.temperature > 0);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  launch(token_logprob_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args,
         rows_are_aligned(args.logit, args.V));
}

void token_logprob_backward(StreamHandle stream, const TokenLogprobBackward& args) {
  TROUPE_CHECK(args.dlogit.element_bytes == 2);
  TROUPE_CHECK(args.temperature > 0);
  TROUPE_CHECK(args.N <= INT32_MAX && args.V <= int64_t{65535} * kColumns);  // Bounds of a grid.
  if (args.N == 0 || args.V == 0) return;
  const Extent grid(static_cast<unsigned>(args.N),
                    static_cast<unsigned>((args.V + kColumns - 1) / kColumns));
  launch(token_logprob_backward_kernel, grid, kRowThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

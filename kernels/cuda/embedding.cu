// embedding.h on CUDA. Forward a block copies a row. Backward a token's rows are added by the block
// of its first place in the batch, one after another: no atomics, no workspace, hence one result.
#include "kernels/embedding.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/row.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {

TROUPE_KERNEL(kRowThreads) embedding_kernel(Embedding args, bool is_aligned) {
  const int64_t n = block_index().x;
  const float* from = at(args.table) + at(args.token)[n] * args.D;
  float* to = at(args.x) + n * args.D;
  if (is_aligned) {
    for (int64_t d = thread_index() * 4; d < args.D; d += kRowStep) {
      *reinterpret_cast<Float4*>(to + d) = *reinterpret_cast<const Float4*>(from + d);
    }
  } else {
    for (int64_t d = thread_index(); d < args.D; d += kRowThreads) to[d] = from[d];
  }
}

TROUPE_KERNEL(kRowThreads) embedding_backward_kernel(EmbeddingBackward args) {
  // Of the places of the same token among 256, a bit for each. Two sets: one is read while the next
  // is written.
  TROUPE_SHARED(uint32_t, places, 2 * kRowWarps);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int64_t n = block_index().x, N = args.N;
  const int32_t* tokens = at(args.token);
  const int32_t token = tokens[n];
  float* to = at(args.dtable) + token * args.D;
  bool is_first = true;
  for (int64_t begin = 0, set = 0; is_first && begin < N; begin += kRowThreads, set ^= kRowWarps) {
    const int64_t place = begin + thread_index();
    const uint32_t same = ballot(kAllLanes, place < N && tokens[place] == token);
    if (lane == 0) places[set + warp] = same;
    sync_block();
    for (int w = 0; is_first && w < kRowWarps; ++w) {
      for (uint32_t left = places[set + w]; is_first && left != 0; left &= left - 1) {
        const int64_t from = begin + w * kWarp + trailing_zeros(left);
        // Places come in rising order: one before this block's is another block's work.
        is_first = from >= n;
        const float* dx = at(args.dx) + from * args.D;
        for (int64_t d = thread_index(); is_first && d < args.D; d += kRowThreads) to[d] += dx[d];
      }
    }
  }
}

void embedding(StreamHandle stream, const Embedding& args) {
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  const bool is_aligned = rows_are_aligned(args.x, args.D) && rows_are_aligned(args.table, args.D);
  launch(embedding_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args, is_aligned);
}

void embedding_backward(StreamHandle stream, const EmbeddingBackward& args) {
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  launch(embedding_backward_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

// MlaQuery of latent_attention.h on CUDA, and its gradient: a warp for each token and head.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/rope.h"
#include "kernels/latent_attention.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256, kHeads = kThreads / kWarp;  // Of a block.

Extent grid_of(int64_t N, int64_t H) {
  return {static_cast<unsigned>(N), static_cast<unsigned>((H + kHeads - 1) / kHeads)};
}

}  // namespace

// W is the width of a row of latents.
TROUPE_KERNEL(kThreads) mla_query_kernel(MlaQuery args, int64_t W) {
  const int lane = thread_index() % kWarp;
  const int64_t n = block_index().x;
  const int64_t h = static_cast<int64_t>(block_index().y) * kHeads + thread_index() / kWarp;
  if (h >= args.H) return;
  const int64_t head = n * args.H + h, R = args.R, P = args.P;
  const float* q = at(args.q) + head * (args.nope_dim + P);
  const float* angles = at(args.table) + at(args.position)[n] * P;
  uint16_t* nope = bf16_at(args.nope) + head * args.nope_dim;
  uint16_t* row = bf16_at(args.row) + head * W;

  for (int64_t i = lane; i < args.nope_dim; i += kWarp) nope[i] = to_bf16(q[i]);
  const float* pairs = q + args.nope_dim;
  for (int64_t i = 2 * lane; i < P; i += 2 * kWarp) {
    const Pair turned = rotated({pairs[i], pairs[i + 1]}, angles + i);
    row[R + i] = to_bf16(turned.a);
    row[R + i + 1] = to_bf16(turned.b);
  }
  for (int64_t i = R + P + lane; i < W; i += kWarp) row[i] = 0;
}

TROUPE_KERNEL(kThreads) mla_query_backward_kernel(MlaQueryBackward args, int64_t W) {
  const int lane = thread_index() % kWarp;
  const int64_t n = block_index().x;
  const int64_t h = static_cast<int64_t>(block_index().y) * kHeads + thread_index() / kWarp;
  if (h >= args.H) return;
  const int64_t head = n * args.H + h, P = args.P;
  const float* dnope = at(args.dnope) + head * args.nope_dim;
  const float* pairs = at(args.drow) + head * W + args.R;
  const float* angles = at(args.table) + at(args.position)[n] * P;
  uint16_t* dq = bf16_at(args.dq) + head * (args.nope_dim + P);

  for (int64_t i = lane; i < args.nope_dim; i += kWarp) dq[i] = to_bf16(dnope[i]);
  for (int64_t i = 2 * lane; i < P; i += 2 * kWarp) {
    const Pair turned = rotated_back({pairs[i], pairs[i + 1]}, angles + i);
    dq[args.nope_dim + i] = to_bf16(turned.a);
    dq[args.nope_dim + i + 1] = to_bf16(turned.b);
  }
}

void mla_query(StreamHandle stream, const MlaQuery& args) {
  TROUPE_CHECK(args.nope.element_bytes == 2 && args.row.element_bytes == 2);
  TROUPE_CHECK(args.P % 2 == 0);
  TROUPE_CHECK(args.N <= INT32_MAX && args.H <= int64_t{65535} * kHeads);  // The bounds of a grid.
  if (args.N == 0 || args.H == 0) return;
  launch(mla_query_kernel, grid_of(args.N, args.H), kThreads, 0, stream, args,
         padded(args.R + args.P));
}

void mla_query_backward(StreamHandle stream, const MlaQueryBackward& args) {
  TROUPE_CHECK(args.dq.element_bytes == 2);
  TROUPE_CHECK(args.P % 2 == 0);
  TROUPE_CHECK(args.N <= INT32_MAX && args.H <= int64_t{65535} * kHeads);
  if (args.N == 0 || args.H == 0) return;
  launch(mla_query_backward_kernel, grid_of(args.N, args.H), kThreads, 0, stream, args,
         padded(args.R + args.P));
}

}  // namespace troupe::kernels::cuda

// HeadRows of head_rows.h on CUDA, and its gradient: a warp for each token and head.
#include "kernels/head_rows.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/rope.h"
#include "kernels/cuda/row.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kWidthMax = 1024;  // Of a head: no partial of its sums has more than four elements.

Extent grid_of(int64_t N, int64_t H) {
  return {static_cast<unsigned>(N), static_cast<unsigned>((H + kRowWarps - 1) / kRowWarps)};
}

}  // namespace

// A sum over a row as README.md has it, by one warp, the same bits in each lane. added(sum, i) is
// a partial to which element i was added.
template <class Added>
TROUPE_DEVICE float sum_by_warp(int d, const Added& added) {
  const int lane = thread_index() % kWarp;
  float groups[kRowWarps] = {};
  TROUPE_UNROLL
  for (int g = 0; g < kRowWarps; ++g) {
    if (g * kWarp * 4 >= d) continue;  // All of the warp: +0.
    const int first = (g * kWarp + lane) * 4;
    float sum = 0;
    TROUPE_UNROLL
    for (int i = first; i < first + 4; ++i) {
      if (i < d) sum = added(sum, i);
    }
    groups[g] = warp_sum(sum);
  }
  return ((groups[0] + groups[4]) + (groups[2] + groups[6])) +
         ((groups[1] + groups[5]) + (groups[3] + groups[7]));
}

TROUPE_KERNEL(kRowThreads) head_rows_kernel(HeadRows args, int width) {
  const int lane = thread_index() % kWarp;
  const int64_t n = block_index().x;
  const int64_t h = static_cast<int64_t>(block_index().y) * kRowWarps + thread_index() / kWarp;
  if (h >= args.H) return;
  const int d = static_cast<int>(args.d);
  const int64_t head = n * args.H + h;
  const int64_t row = args.slot.address != 0 ? at(args.slot)[n] : n;
  const bool is_normed = args.weight.address != 0;
  const float* x = at(args.x) + head * d;
  const float* weight = at(args.weight);
  uint16_t* y = bf16_at(args.y) + row * args.ldy + h * args.stride;

  float rstd = 1;
  if (is_normed) {
    const float squares = sum_by_warp(d, [x](float sum, int i) { return fma(x[i], x[i], sum); });
    rstd = divide(1.0f, square_root(divide(squares, static_cast<float>(d)) + args.epsilon));
    if (lane == 0) at(args.rstd)[head] = rstd;
  }
  const auto normed = [&](int i) { return is_normed ? x[i] * rstd * weight[i] : x[i]; };
  if (args.table.address != 0) {
    const float* angles = at(args.table) + static_cast<int64_t>(at(args.position)[n]) * d;
    const int half = d / 2;
    for (int i = lane; i < half; i += kWarp) {
      const Pair turned = rotated({normed(i), normed(i + half)}, angles + 2 * i);
      y[i] = to_bf16(turned.a);
      y[i + half] = to_bf16(turned.b);
    }
  } else {
    for (int i = lane; i < d; i += kWarp) y[i] = to_bf16(normed(i));
  }
  for (int i = d + lane; i < width; i += kWarp) y[i] = 0;
}

// Element i of a head's dy, turned back.
TROUPE_DEVICE float turned_back(const float* dy, const float* angles, int i, int d) {
  if (angles == nullptr) return dy[i];
  const int half = d / 2, first = i < half ? i : i - half;
  const Pair turned = rotated_back({dy[first], dy[first + half]}, angles + 2 * first);
  return i < half ? turned.a : turned.b;
}
TROUPE_DEVICE const float* angles_of(const HeadRowsBackward& args, int64_t n) {
  return args.table.address != 0 ? at(args.table) + at(args.position)[n] * args.d : nullptr;
}

TROUPE_KERNEL(kRowThreads) head_rows_backward_kernel(HeadRowsBackward args) {
  const int lane = thread_index() % kWarp;
  const int64_t n = block_index().x;
  const int64_t h = static_cast<int64_t>(block_index().y) * kRowWarps + thread_index() / kWarp;
  if (h >= args.H) return;
  const int d = static_cast<int>(args.d);
  const int64_t head = n * args.H + h;
  const float* dy = at(args.dy) + n * args.lddy + h * args.stride;
  const float* angles = angles_of(args, n);
  const float* x = at(args.x) + head * d;
  uint16_t* dx = bf16_at(args.dx) + head * d;

  if (args.weight.address == 0) {
    for (int i = lane; i < d; i += kWarp) dx[i] = to_bf16(turned_back(dy, angles, i, d));
    return;
  }
  const float* weight = at(args.weight);
  const float dot = sum_by_warp(d, [&](float sum, int i) {
    return fma(turned_back(dy, angles, i, d) * weight[i], x[i], sum);
  });
  const float rstd = at(args.rstd)[head];
  const float shrink = rstd * rstd * divide(dot, static_cast<float>(d));
  for (int i = lane; i < d; i += kWarp) {
    const float gradient = turned_back(dy, angles, i, d) * weight[i];
    dx[i] = to_bf16(rstd * (gradient - x[i] * shrink));
  }
}

// A block has 32 columns, see column_sum(). Rows are heads of tokens.
TROUPE_KERNEL(kRowThreads) head_rows_weight_gradient_kernel(HeadRowsBackward args) {
  TROUPE_SHARED(float, partials, kRowThreads);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int d = static_cast<int>(args.d);
  const int column = static_cast<int>(block_index().x) * kWarp + lane;
  const bool is_inside = column < d;
  const float before = warp == 0 && is_inside ? at(args.dweight)[column] : 0;
  const int64_t rows = args.N * args.H;
  const float sum = column_sum(before, rows, is_inside, partials, [&](float partial, int64_t head) {
    const int64_t n = head / args.H, h = head % args.H;
    const float* dy = at(args.dy) + n * args.lddy + h * args.stride;
    const float normed = at(args.x)[head * d + column] * at(args.rstd)[head];
    return fma(turned_back(dy, angles_of(args, n), column, d), normed, partial);
  });
  if (warp == 0 && is_inside) at(args.dweight)[column] = sum;
}

void head_rows(StreamHandle stream, const HeadRows& args) {
  TROUPE_CHECK(args.y.element_bytes == 2);
  TROUPE_CHECK(args.d > 0 && args.d <= kWidthMax);
  TROUPE_CHECK(!args.table || args.d % 2 == 0);
  TROUPE_CHECK(args.N <= INT32_MAX && args.H <= int64_t{65535} * kRowWarps);  // Bounds of a grid.
  if (args.N == 0 || args.H == 0) return;
  launch(head_rows_kernel, grid_of(args.N, args.H), kRowThreads, 0, stream, args,
         static_cast<int>(padded(args.d)));
}

void head_rows_backward(StreamHandle stream, const HeadRowsBackward& args) {
  TROUPE_CHECK(args.dx.element_bytes == 2);
  TROUPE_CHECK(args.d > 0 && args.d <= kWidthMax);
  TROUPE_CHECK(!args.table || args.d % 2 == 0);
  TROUPE_CHECK(args.N <= INT32_MAX && args.H <= int64_t{65535} * kRowWarps);
  if (args.N == 0 || args.H == 0) return;
  launch(head_rows_backward_kernel, grid_of(args.N, args.H), kRowThreads, 0, stream, args);
  if (!args.weight) return;
  launch(head_rows_weight_gradient_kernel, static_cast<unsigned>((args.d + kWarp - 1) / kWarp),
         kRowThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

// swiglu.h on CUDA: each element is a function of its own numbers; a block for each row of the
// gradient, which may have a sum.
#include "kernels/swiglu.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/elementary.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/row.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256, kEach = 4, kColumns = kThreads * kEach;  // Of a block.

}  // namespace

TROUPE_KERNEL(kThreads) swiglu_kernel(Swiglu args) {
  const int64_t n = block_index().x;
  const float* gate = at(args.gate) + n * args.ld;
  const float* up = at(args.up) + n * args.ld;
  uint16_t* y = bf16_at(args.y) + n * args.F;
  TROUPE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t f =
        static_cast<int64_t>(block_index().y) * kColumns + i * kThreads + thread_index();
    if (f < args.F) y[f] = to_bf16(gate[f] * sigmoid(gate[f]) * up[f]);
  }
}

// With weights a block is one (token, k) and its row is where slot_row says, else it is a row.
TROUPE_KERNEL(kRowThreads)
swiglu_backward_kernel(SwigluBackward args, bool gate_is_aligned, bool da_is_aligned) {
  TROUPE_SHARED(float, partials, kRowWarps);
  const int F = static_cast<int>(args.F);
  const int64_t slot = block_index().x;
  const bool is_weighted = args.weight.address != 0;
  const int64_t row = is_weighted ? at(args.slot_row)[slot] : slot;
  const float weight = is_weighted ? at(args.weight)[slot] : 1.0f;
  const float* gate_row = at(args.gate) + row * args.ld;
  const float* up_row = at(args.up) + row * args.ld;
  const float* da_row = at(args.da) + row * args.F;
  uint16_t* dgate = bf16_at(args.dgate) + row * args.F;
  uint16_t* dup = bf16_at(args.dup) + row * args.F;

  float sum = 0;
  for (int f = thread_index() * 4; f < F; f += kRowStep) {
    const Float4 g4 = four(gate_row, f, F, gate_is_aligned);
    const Float4 u4 = four(up_row, f, F, gate_is_aligned);
    const Float4 da4 = four(da_row, f, F, da_is_aligned);
    const float gate[4] = {g4.x, g4.y, g4.z, g4.w}, up[4] = {u4.x, u4.y, u4.z, u4.w};
    const float da[4] = {da4.x, da4.y, da4.z, da4.w};
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (f + i >= F) continue;
      const float g = gate[i], sig = sigmoid(g), silu = g * sig, a = silu * up[i];
      const float d = weight * da[i], slope = sig * (1.0f + g * (1.0f - sig));
      sum = fma(da[i], a, sum);
      dgate[f + i] = to_bf16(d * up[i] * slope);
      dup[f + i] = to_bf16(d * silu);
      if (args.weighted.address != 0) {
        bf16_at(args.weighted)[row * args.F + f + i] = to_bf16(weight * a);
      }
    }
  }
  if (!is_weighted) return;
  sum = row_sum(sum, partials);
  if (thread_index() == 0) at(args.dweight)[slot] = sum;
}

void swiglu(StreamHandle stream, const Swiglu& args) {
  TROUPE_CHECK(args.y.element_bytes == 2);
  TROUPE_CHECK(args.N <= INT32_MAX);
  TROUPE_CHECK(args.F <= int64_t{65535} * kColumns);  // The bound of a grid.
  if (args.N == 0 || args.F == 0) return;
  const Extent grid(static_cast<unsigned>(args.N),
                    static_cast<unsigned>((args.F + kColumns - 1) / kColumns));
  launch(swiglu_kernel, grid, kThreads, 0, stream, args);
}

void swiglu_backward(StreamHandle stream, const SwigluBackward& args) {
  TROUPE_CHECK(args.dgate.element_bytes == 2 && args.dup.element_bytes == 2);
  TROUPE_CHECK(!args.weighted || args.weighted.element_bytes == 2);
  TROUPE_CHECK(args.F <= INT32_MAX / 2);
  const int64_t blocks = args.weight ? args.num_slots : args.N;
  TROUPE_CHECK(blocks <= INT32_MAX);
  if (blocks == 0) return;
  const bool gate_is_aligned =
      rows_are_aligned(args.gate, args.ld) && rows_are_aligned(args.up, args.ld);
  launch(swiglu_backward_kernel, static_cast<unsigned>(blocks), kRowThreads, 0, stream, args,
         gate_is_aligned, rows_are_aligned(args.da, args.F));
}

}  // namespace troupe::kernels::cuda

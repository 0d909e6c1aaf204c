// adamw.h on CUDA: each element is a function of its own four numbers.
#include "kernels/adamw.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// x, or a zero of its sign instead of a subnormal.
TROUPE_DEVICE float without_subnormals(float x) {
  const uint32_t bits = bits_of(x);
  return (bits & 0x7F800000) == 0 ? float_of(bits & 0x80000000) : x;
}

}  // namespace

TROUPE_KERNEL(kThreads) adamw_kernel(AdamW args) {
  const int64_t i = static_cast<int64_t>(block_index().x) * kThreads + thread_index();
  if (i >= args.n) return;
  const float g = at(args.gradient)[i] * args.gradient_scale;
  const float m = without_subnormals(args.beta1 * at(args.m)[i] + (1.0f - args.beta1) * g);
  const float v = without_subnormals(args.beta2 * at(args.v)[i] + (1.0f - args.beta2) * (g * g));
  const float root = square_root(divide(v, args.correction2)) + args.epsilon;
  const float update = divide(divide(m, args.correction1), root);
  const float w = at(args.weight)[i];
  const float decayed = w - args.learning_rate * args.weight_decay * w;
  at(args.weight)[i] = decayed - args.learning_rate * update;
  at(args.m)[i] = m;
  at(args.v)[i] = v;
}

void adamw(StreamHandle stream, const AdamW& args) {
  const int64_t blocks = (args.n + kThreads - 1) / kThreads;
  TROUPE_CHECK(blocks <= INT32_MAX);
  if (blocks == 0) return;
  launch(adamw_kernel, static_cast<unsigned>(blocks), kThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda

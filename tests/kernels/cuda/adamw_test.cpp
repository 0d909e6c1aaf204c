// Steps of AdamW on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

kernels::AdamW step_of(int t) {
  return {.learning_rate = 0.01f,
          .beta1 = 0.9f,
          .beta2 = 0.95f,
          .epsilon = 1e-8f,
          .weight_decay = 0.1f,
          .gradient_scale = 0.75f,
          .correction1 = static_cast<float>(1 - std::pow(0.9, t)),
          .correction2 = static_cast<float>(1 - std::pow(0.95, t))};
}

TEST_CASE("cuda adamw: the reference's bits from every engine and schedule, over steps") {
  for (const int64_t n : {0, 1, 255, 256, 257, 1000}) {
    CAPTURE(n);
    Random random(static_cast<uint64_t>(n + 1));
    const std::vector<float> zeros(static_cast<size_t>(n));
    std::vector<float> weight = zeros, gradient = zeros;
    for (float& v : weight) v = random.uniform();
    // Some so small that moments become subnormal, some zero.
    for (float& v : gradient) v = std::ldexp(random.uniform(), -random.in(0, 140));
    std::vector<float> expected_weight = weight, expected_m = zeros, expected_v = zeros;
    for (size_t i = 0; i < weight.size(); ++i) {
      cuda_reference::AdamWElement element{.weight = weight[i]};
      for (int t = 1; t <= 3; ++t) cuda_reference::adamw(element, gradient[i], step_of(t));
      expected_weight[i] = element.weight;
      expected_m[i] = element.m;
      expected_v[i] = element.v;
      REQUIRE(std::fpclassify(element.m) != FP_SUBNORMAL);
      REQUIRE(std::fpclassify(element.v) != FP_SUBNORMAL);
    }
    on_every_engine(4, [&] {
      const simt::Array<float> device_weight(weight), m(zeros), v(zeros), device_gradient(gradient);
      for (int t = 1; t <= 3; ++t) {
        kernels::AdamW args = step_of(t);
        args.weight = device_weight.device();
        args.m = m.device();
        args.v = v.device();
        args.gradient = device_gradient.device();
        args.n = n;
        kernels::cuda::adamw(nullptr, args);
      }
      REQUIRE(has_same_bits(device_weight.values(), expected_weight));
      REQUIRE(has_same_bits(m.values(), expected_m));
      REQUIRE(has_same_bits(v.values(), expected_v));
    });
  }
}

TEST_CASE("cuda adamw: the reference is the algorithm within float") {
  cuda_reference::AdamWElement got{.weight = 0.5f};
  double weight = 0.5, m = 0, v = 0;
  for (int t = 1; t <= 20; ++t) {
    const double gradient = static_cast<float>(std::sin(t)), g = gradient * 0.75;
    cuda_reference::adamw(got, static_cast<float>(gradient), step_of(t));
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g * g;
    weight -= 0.01 * 0.1 * weight;
    weight -= 0.01 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-8);
    CHECK(double{got.weight} == doctest::Approx(weight).epsilon(1e-5));
  }
}

}  // namespace
}  // namespace troupe::tests

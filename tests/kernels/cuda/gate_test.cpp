// The choice of experts on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

cuda_reference::Gated run(const std::vector<float>& logit, const std::vector<float>& bias,
                          kernels::Gate args) {
  const simt::Array<float> device_logit(logit), device_bias(bias), score(logit.size());
  const simt::Array<float> weight(static_cast<size_t>(args.N * args.K));
  const simt::Array<int32_t> expert(static_cast<size_t>(args.N * args.K));
  args.expert = expert.device();
  args.weight = weight.device();
  args.score = score.device();
  args.logit = device_logit.device();
  if (!bias.empty()) args.bias = device_bias.device();
  kernels::cuda::gate(nullptr, args);
  return {expert.values(), weight.values(), score.values()};
}

const kernels::Gate kCases[] = {
    {.N = 0, .E = 8, .K = 2},
    {.N = 2, .E = 1, .K = 1},
    {.N = 3, .E = 7, .K = 7, .scaling = 2.5f},
    {.N = 3, .E = 33, .K = 5, .normalises = false},
    {.N = 3, .E = 64, .K = 8, .is_softmax = true},
    {.N = 2, .E = 257, .K = 32, .is_softmax = true, .normalises = false},
    {.N = 4, .E = 256, .K = 8, .num_groups = 8, .groups_kept = 4, .scaling = 2.5f},
    {.N = 4, .E = 60, .K = 3, .num_groups = 5, .groups_kept = 1, .groups_by_best = true},
    {.N = 4, .E = 32, .K = 6, .num_groups = 32, .groups_kept = 6},
    {.N = 1, .E = 1100, .K = 4, .num_groups = 2, .groups_kept = 1, .is_softmax = true},
};

TEST_CASE("cuda gate: the reference's bits from every engine and schedule") {
  for (const kernels::Gate& c : kCases) {
    CAPTURE(c.N);
    CAPTURE(c.E);
    CAPTURE(c.num_groups);
    for (const bool has_ties : {false, true}) {
      Random random(static_cast<uint64_t>(c.E * 10 + c.K));
      std::vector<float> logit(static_cast<size_t>(c.N * c.E)), bias(static_cast<size_t>(c.E));
      for (float& v : logit) v = has_ties ? static_cast<float>(random.in(-1, 1)) : random.uniform();
      for (float& v : bias) v = random.uniform() / 4;
      if (has_ties) bias.clear();
      const cuda_reference::Gated expected = cuda_reference::gate(logit, bias, c);
      on_every_engine(4, [&] {
        const cuda_reference::Gated got = run(logit, bias, c);
        REQUIRE(got.expert == expected.expert);
        REQUIRE(has_same_bits(got.weight, expected.weight));
        REQUIRE(has_same_bits(got.score, expected.score));
      });
    }
  }
}

TEST_CASE("cuda gate: ties go to the smaller index, of experts and of groups") {
  const kernels::Gate what{.N = 1, .E = 12, .K = 3, .num_groups = 3, .groups_kept = 2};
  const std::vector<float> equal(12, 0.5f);
  std::vector<float> last_group = equal;
  last_group[9] = 1;
  on_every_engine(4, [&] {
    REQUIRE(run(equal, {}, what).expert == std::vector<int32_t>{0, 1, 2});
    // Group 2 is the best, group 0 the first of the others; experts 0 and 1 the first of equals.
    REQUIRE(run(last_group, {}, what).expert == std::vector<int32_t>{0, 1, 9});
  });
}

TEST_CASE("cuda gate: logits that are no numbers give experts that there are") {
  for (const bool is_softmax : {false, true}) {
    const kernels::Gate what{
        .N = 1, .E = 8, .K = 3, .num_groups = 4, .groups_kept = 2, .is_softmax = is_softmax};
    on_every_engine(4, [&] {
      const cuda_reference::Gated got = run(std::vector<float>(8, NAN), {}, what);
      for (const int32_t e : got.expert) REQUIRE((e >= 0 && e < 8));
      for (const float w : got.weight) REQUIRE(std::isnan(w));
    });
  }
}

TEST_CASE("cuda gate: the reference's scores are the mathematics within float") {
  Random random(5);
  std::vector<float> logit(40);
  for (float& v : logit) v = random.uniform() * 3;
  double sum = 0;
  for (const float v : logit) sum += std::exp(double{v});
  const auto sigmoid = cuda_reference::gate(logit, {}, {.N = 1, .E = 40, .K = 1});
  const auto softmax =
      cuda_reference::gate(logit, {}, {.N = 1, .E = 40, .K = 1, .is_softmax = true});
  for (size_t e = 0; e < logit.size(); ++e) {
    const double x = logit[e];
    CHECK(double{sigmoid.score[e]} == doctest::Approx(1 / (1 + std::exp(-x))).epsilon(1e-6));
    CHECK(double{softmax.score[e]} == doctest::Approx(std::exp(x) / sum).epsilon(1e-6));
  }
  CHECK(double{sigmoid.weight[0]} == doctest::Approx(1));
}

// With equal gradients of weights a normalised gate's gradient is what rounding leaves of a zero,
// so that its bits are those of every step on the way.
void check_backward(const kernels::Gate& c, bool is_equal) {
  CAPTURE(c.N);
  CAPTURE(c.E);
  Random random(static_cast<uint64_t>(c.E * 10 + c.K));
  const std::vector<float> logit = random.numbers(c.N * c.E);
  std::vector<float> dweight = random.numbers(c.N * c.K);
  if (is_equal) std::fill(dweight.begin(), dweight.end(), 0.7f);
  const cuda_reference::Gated gated = cuda_reference::gate(logit, {}, c);
  kernels::GateBackward args{.N = c.N,
                             .E = c.E,
                             .K = c.K,
                             .is_softmax = c.is_softmax,
                             .normalises = c.normalises,
                             .scaling = c.scaling};
  const auto expected = cuda_reference::gate_backward(dweight, gated.expert, gated.score, args);
  on_every_engine(4, [&] {
    const simt::Array<uint16_t> dlogit(expected.size());
    const simt::Array<float> device_dweight(dweight), score(gated.score);
    const simt::Array<int32_t> expert(gated.expert);
    args.dlogit = dlogit.stored();
    args.dweight = device_dweight.device();
    args.expert = expert.device();
    args.score = score.device();
    kernels::cuda::gate_backward(nullptr, args);
    REQUIRE(dlogit.values() == expected);
  });
}

TEST_CASE("cuda gate backward: the reference's bits from every engine and schedule") {
  for (const kernels::Gate& c : kCases) {
    check_backward(c, false);
    check_backward(c, true);
  }
}

TEST_CASE("cuda gate backward: the reference is the slope of the mathematics") {
  constexpr size_t E = 6, K = 3;
  const std::vector<double> logit = {0.3, -1.2, 0.8, 2.0, -0.4, 1.1};
  const std::vector<int32_t> expert = {1, 3, 5};
  const std::vector<float> dweight = {0.7f, -1.3f, 0.4f};
  for (const bool is_softmax : {false, true}) {
    for (const bool normalises : {false, true}) {
      const auto scores = [&](const std::vector<double>& x) {
        std::vector<double> s;
        double sum = 0;
        for (const double v : x) sum += std::exp(v);
        for (const double v : x)
          s.push_back(is_softmax ? std::exp(v) / sum : 1 / (1 + std::exp(-v)));
        return s;
      };
      const auto loss = [&](const std::vector<double>& x) {
        const std::vector<double> s = scores(x);
        double sum = 0, total = 0;
        for (const int32_t e : expert) sum += s[static_cast<size_t>(e)];
        for (size_t k = 0; k < K; ++k) {
          total +=
              double{dweight[k]} * 2.5 * s[static_cast<size_t>(expert[k])] / (normalises ? sum : 1);
        }
        return total;
      };
      const std::vector<double> s = scores(logit);
      const std::vector<uint16_t> got =
          cuda_reference::gate_backward(dweight, expert, std::vector<float>(s.begin(), s.end()),
                                        {.N = 1,
                                         .E = E,
                                         .K = K,
                                         .is_softmax = is_softmax,
                                         .normalises = normalises,
                                         .scaling = 2.5f});
      for (size_t e = 0; e < E; ++e) {
        std::vector<double> up = logit, down = logit;
        up[e] += 1e-5;
        down[e] -= 1e-5;
        const double want = (loss(up) - loss(down)) / 2e-5;
        CHECK(std::abs(double{cuda_reference::from_bf16(got[e])} - want) <=
              std::abs(want) / 256 + 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::tests

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

}  // namespace
}  // namespace troupe::tests

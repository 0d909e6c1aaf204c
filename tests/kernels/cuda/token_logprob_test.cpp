// Logprobs of tokens and their gradient on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::TokenLogprobs;

struct Case {
  int64_t N, V;
  float temperature;
};
const Case kCases[] = {{0, 8, 1},    {2, 1, 1},       {3, 7, 0.7f}, {1, 255, 1},
                       {2, 1023, 1}, {2, 1024, 0.5f}, {1, 1025, 3}, {2, 5000, 1}};

std::vector<int32_t> tokens_of(Random& random, const Case& c) {
  std::vector<int32_t> tokens(static_cast<size_t>(c.N));
  for (int32_t& t : tokens) t = random.in(0, static_cast<int>(c.V) - 1);
  return tokens;
}

TokenLogprobs run(const std::vector<float>& logits, const std::vector<int32_t>& tokens, int64_t V,
                  float temperature) {
  const size_t N = tokens.size();
  const simt::Array<float> logit(logits), logprob(N), lse(N), entropy(N);
  const simt::Array<int32_t> token(tokens);
  kernels::cuda::token_logprob(nullptr, {.logprob = logprob.device(),
                                         .lse = lse.device(),
                                         .entropy = entropy.device(),
                                         .logit = logit.device(),
                                         .token = token.device(),
                                         .N = static_cast<int64_t>(N),
                                         .V = V,
                                         .temperature = temperature});
  return {logprob.values(), lse.values(), entropy.values()};
}

TEST_CASE("cuda token logprob: the reference's bits from every engine and schedule") {
  for (const Case& c : kCases) {
    CAPTURE(c.N);
    CAPTURE(c.V);
    Random random(static_cast<uint64_t>(c.V * 10 + c.N));
    std::vector<float> logits = random.numbers(c.N * c.V);
    for (float& x : logits) x *= 6;
    const std::vector<int32_t> tokens = tokens_of(random, c);
    const TokenLogprobs expected =
        cuda_reference::token_logprob(logits, tokens, c.V, c.temperature);
    on_every_engine(4, [&] {
      const TokenLogprobs got = run(logits, tokens, c.V, c.temperature);
      REQUIRE(has_same_bits(got.logprob, expected.logprob));
      REQUIRE(has_same_bits(got.lse, expected.lse));
      REQUIRE(has_same_bits(got.entropy, expected.entropy));
    });
  }
}

TEST_CASE("cuda token logprob backward: the reference's bits from every engine and schedule") {
  for (const Case& c : kCases) {
    CAPTURE(c.N);
    CAPTURE(c.V);
    Random random(static_cast<uint64_t>(c.V * 10 + c.N + 1));
    const std::vector<float> logits = random.numbers(c.N * c.V), dlogprobs = random.numbers(c.N);
    const std::vector<int32_t> tokens = tokens_of(random, c);
    const std::vector<float> lses =
        cuda_reference::token_logprob(logits, tokens, c.V, c.temperature).lse;
    const std::vector<uint16_t> expected =
        cuda_reference::token_logprob_backward(dlogprobs, lses, logits, tokens, c.V, c.temperature);
    on_every_engine(4, [&] {
      const simt::Array<float> logit(logits), dlogprob(dlogprobs), lse(lses);
      const simt::Array<int32_t> token(tokens);
      const simt::Array<uint16_t> dlogit(expected.size());
      kernels::cuda::token_logprob_backward(nullptr, {.dlogit = dlogit.stored(),
                                                      .dlogprob = dlogprob.device(),
                                                      .lse = lse.device(),
                                                      .logit = logit.device(),
                                                      .token = token.device(),
                                                      .N = c.N,
                                                      .V = c.V,
                                                      .temperature = c.temperature});
      REQUIRE(dlogit.values() == expected);
    });
  }
}

TEST_CASE("cuda token logprob: a logit that is no number makes all of its row none") {
  std::vector<float> logits(3 * 300, 0.5f);
  logits[300 + 299] = NAN;
  on_every_engine(4, [&] {
    const TokenLogprobs got = run(logits, {0, 1, 2}, 300, 1);
    REQUIRE((std::isnan(got.logprob[1]) && std::isnan(got.lse[1]) && std::isnan(got.entropy[1])));
    REQUIRE((!std::isnan(got.logprob[0]) && !std::isnan(got.logprob[2])));
  });
}

TEST_CASE("cuda token logprob: the reference is the mathematics within float") {
  constexpr int64_t V = 700;
  Random random(4);
  const std::vector<float> logits = random.numbers(V);
  for (const float temperature : {1.0f, 0.6f}) {
    const TokenLogprobs got = cuda_reference::token_logprob(logits, {9}, V, temperature);
    double sum = 0, entropy = 0;
    for (const float x : logits) sum += std::exp(double{x} / double{temperature});
    const double lse = std::log(sum);
    for (const float x : logits) {
      const double z = double{x} / double{temperature};
      entropy -= std::exp(z - lse) * (z - lse);
    }
    CHECK(double{got.lse[0]} == doctest::Approx(lse).epsilon(1e-6));
    CHECK(double{got.entropy[0]} == doctest::Approx(entropy).epsilon(1e-6));
    CHECK(double{got.logprob[0]} ==
          doctest::Approx(double{logits[9]} / double{temperature} - lse).epsilon(1e-6));
  }
}

TEST_CASE("cuda logarithm: the reference is ln to two units in the last place") {
  double worst = 0;
  for (float x = 1e-30f; x < 1e30f; x *= 1.00137f) {
    const double exact = std::log(double{x});
    const float nearest = static_cast<float>(exact);
    const double unit =
        double{std::nextafter(std::abs(nearest), INFINITY)} - double{std::abs(nearest)};
    worst = std::max(worst, std::abs(double{cuda_reference::logarithm(x)} - exact) / unit);
  }
  CAPTURE(worst);
  CHECK(worst < 2);
  CHECK(cuda_reference::logarithm(1) == 0);
  CHECK(std::isinf(cuda_reference::logarithm(INFINITY)));
  CHECK(std::isnan(cuda_reference::logarithm(NAN)));
}

}  // namespace
}  // namespace troupe::tests

// Draws of tokens on CUDA kernels against the reference, bit for bit.
#include "kernels/sample.h"

#include <cmath>

#include "kernels/cuda/operations.h"
#include "kernels/random.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::Sampled;
using kernels::SampleKey;

Sampled run(const std::vector<float>& logits, const std::vector<SampleKey>& keys, int64_t V,
            float temperature, float top_p) {
  const simt::Array<float> logit(logits), logprob(keys.size());
  const simt::Array<int32_t> token(keys.size());
  const simt::Array<SampleKey> key(keys);
  kernels::cuda::sample(nullptr, {.token = token.device(),
                                  .logprob = logprob.device(),
                                  .logit = logit.device(),
                                  .key = key.device(),
                                  .N = static_cast<int64_t>(keys.size()),
                                  .V = V,
                                  .temperature = temperature,
                                  .top_p = top_p});
  return {token.values(), logprob.values()};
}

std::vector<SampleKey> keys_of(uint64_t seed, int64_t N) {
  std::vector<SampleKey> keys;
  for (int64_t n = 0; n < N; ++n) {
    keys.push_back({.seed = seed << 40 | 77,
                    .round = static_cast<uint64_t>(n),
                    .stream = static_cast<uint32_t>(kernels::StreamId::kSample),
                    .ordinal = static_cast<uint32_t>(3 * n),
                    .sample = static_cast<uint32_t>(n + 5),
                    .position = static_cast<uint32_t>(100 + n)});
  }
  return keys;
}

struct Case {
  int64_t N, V;
  float temperature, top_p;
  bool has_ties = false;
};
const Case kCases[] = {
    {0, 8, 1, 1},           {2, 1, 1, 0.5f}, {3, 7, 0.7f, 1},         {3, 31, 1, 0.9f},
    {3, 33, 2, 0.3f, true}, {4, 255, 1, 0},  {4, 257, 1, 0.5f, true}, {2, 1025, 1.3f, 0.99f},
    {2, 3000, 1, 0.7f},     {3, 300, 0, 1},  {3, 300, 0, 0.5f, true},
};

TEST_CASE("cuda sample: the reference's bits from every engine and schedule") {
  for (const Case& c : kCases) {
    CAPTURE(c.N);
    CAPTURE(c.V);
    CAPTURE(c.temperature);
    CAPTURE(c.top_p);
    Random random(static_cast<uint64_t>(c.V * 10 + c.N));
    std::vector<float> logits = random.numbers(c.N * c.V);
    for (float& x : logits) x = c.has_ties ? std::round(x) : x * 2;
    const std::vector<SampleKey> keys = keys_of(static_cast<uint64_t>(c.V), c.N);
    const Sampled expected = cuda_reference::sample(logits, keys, c.V, c.temperature, c.top_p);
    on_every_engine(2, [&] {
      const Sampled got = run(logits, keys, c.V, c.temperature, c.top_p);
      REQUIRE(got.token == expected.token);
      REQUIRE(has_same_bits(got.logprob, expected.logprob));
    });
  }
}

TEST_CASE("cuda sample: the logprob is token_logprob's, whatever top_p left") {
  Random random(5);
  const std::vector<float> logits = random.numbers(2 * 500);
  const Sampled got = cuda_reference::sample(logits, keys_of(1, 2), 500, 0.8f, 0.4f);
  const auto scored = cuda_reference::token_logprob(logits, got.token, 500, 0.8f);
  CHECK(has_same_bits(got.logprob, scored.logprob));
}

TEST_CASE("cuda sample: the reference draws as often as is probable, from what top_p leaves") {
  const std::vector<float> row = {std::log(0.5f), std::log(0.25f), std::log(0.125f),
                                  std::log(0.125f)};
  constexpr int64_t N = 4000;
  std::vector<float> logits;
  for (int64_t n = 0; n < N; ++n) logits.insert(logits.end(), row.begin(), row.end());
  const auto counts = [&](float top_p) {
    std::vector<int> count(4);
    for (const int32_t t : cuda_reference::sample(logits, keys_of(9, N), 4, 1, top_p).token) {
      ++count[static_cast<size_t>(t)];
    }
    return count;
  };
  const std::vector<int> all = counts(1), some = counts(0.8f);
  CHECK(std::abs(all[0] - 2000) < 150);
  CHECK(std::abs(all[1] - 1000) < 130);
  CHECK(std::abs(all[3] - 500) < 100);
  CHECK(std::abs(some[0] - N * 4 / 7) < 150);  // Of two equals the smaller id stays.
  CHECK(some[2] > 0);
  CHECK(some[3] == 0);
}

TEST_CASE("cuda sample: a row of which nothing is a number gives a token that there is") {
  on_every_engine(2, [&] {
    for (const float temperature : {0.0f, 1.0f}) {
      const Sampled got = run(std::vector<float>(40, NAN), keys_of(1, 1), 40, temperature, 0.5f);
      REQUIRE((got.token[0] >= 0 && got.token[0] < 40));
      REQUIRE(std::isnan(got.logprob[0]));
    }
  });
}

}  // namespace
}  // namespace troupe::tests

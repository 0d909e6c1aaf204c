// The two users of the last logits: the logprob of a given token, and the token that is drawn.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/on_device.h"

namespace troupe::kernels {
namespace {

using tests::as_floats;
using tests::dot;
using tests::joined;
using tests::OnDevice;
using tests::random_values;
using tests::require_gradient;
using tests::require_same;
using tests::require_same_everywhere;

struct Scored {
  std::vector<float> logprob, lse, entropy;
};
Scored run_logprob(OnDevice& device, const std::vector<float>& logit,
                   const std::vector<int32_t>& token, float temperature) {
  const auto N = static_cast<int64_t>(token.size());
  TokenLogprob args{.logprob = device.filled(N, 7.0f),
                    .lse = device.filled(N, 7.0f),
                    .entropy = device.filled(N, 7.0f),
                    .logit = device.send(logit),
                    .token = device.send(token),
                    .N = N,
                    .V = static_cast<int64_t>(logit.size()) / N,
                    .temperature = temperature};
  device->token_logprob(device.stream(), args);
  return {device.receive(args.logprob, N), device.receive(args.lse, N),
          device.receive(args.entropy, N)};
}
std::vector<float> run_backward(OnDevice& device, const std::vector<float>& logit,
                                const std::vector<int32_t>& token, const std::vector<float>& lse,
                                const std::vector<float>& dlogprob, float temperature) {
  const auto N = static_cast<int64_t>(token.size());
  const auto count = static_cast<int64_t>(logit.size());
  TokenLogprobBackward args{.dlogit = device.filled_stored(count, 7),
                            .dlogprob = device.send(dlogprob),
                            .lse = device.send(lse),
                            .logit = device.send(logit),
                            .token = device.send(token),
                            .N = N,
                            .V = count / N,
                            .temperature = temperature};
  device->token_logprob_backward(device.stream(), args);
  return device.receive(args.dlogit, count);
}

struct Drawn {
  std::vector<int32_t> token;
  std::vector<float> logprob;
};
// N draws, one per position, all from rows of `logit` (1 or N rows of V).
Drawn run_sample(OnDevice& device, const std::vector<float>& logit, int64_t N, int64_t V,
                 float temperature, float top_p) {
  std::vector<float> rows;
  for (int64_t n = 0; n < N; ++n) {
    const auto from =
        logit.size() == static_cast<size_t>(V) ? logit.begin() : logit.begin() + n * V;
    rows.insert(rows.end(), from, from + V);
  }
  std::vector<SampleKey> key;
  for (int64_t n = 0; n < N; ++n) {
    key.push_back({.seed = 5,
                   .round = 1,
                   .stream = static_cast<uint32_t>(StreamId::kSample),
                   .ordinal = 3,
                   .sample = 2,
                   .position = static_cast<uint32_t>(n)});
  }
  Sample args{.token = device.filled(N, -1),
              .logprob = device.filled(N, 7.0f),
              .logit = device.send(rows),
              .key = device.send(key),
              .N = N,
              .V = V,
              .temperature = temperature,
              .top_p = top_p};
  device->sample(device.stream(), args);
  return {device.receive(args.token, N), device.receive(args.logprob, N)};
}

std::vector<float> logs(const std::vector<double>& p) {
  std::vector<float> out;
  for (double x : p) out.push_back(static_cast<float>(std::log(x)));
  return out;
}

TEST_CASE("token_logprob: probabilities 1/2, 1/4, 1/4") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const auto out = run_logprob(device, logs({2, 1, 1}), {1}, 1);
    CHECK(out.logprob[0] == doctest::Approx(std::log(0.25)));
    CHECK(out.lse[0] == doctest::Approx(std::log(4)));
    CHECK(out.entropy[0] == doctest::Approx(1.5 * std::log(2)));
    // At temperature 1/2 they are 4/6, 1/6, 1/6.
    CHECK(run_logprob(device, logs({2, 1, 1}), {0}, 0.5f).logprob[0] ==
          doctest::Approx(std::log(4.0 / 6)));
  }
}

TEST_CASE("token_logprob: logits of 1e4 and -1e4 give numbers") {
  for (const Backend* backend : cpu_backends()) {
    CAPTURE(backend->name);
    OnDevice device(*backend);
    const std::vector<float> logit = {1e4f, -1e4f, 0, 1e4f, -1e4f, -1e4f, -1e4f, -1e4f};
    const std::vector<int32_t> token = {1, 3};
    const auto out = run_logprob(device, logit, token, 1);
    CHECK(out.logprob[0] == doctest::Approx(-2e4 - std::log(2.0)));
    CHECK(out.logprob[1] == doctest::Approx(-std::log(4.0)).epsilon(1e-3));
    for (float x : out.entropy) CHECK(std::isfinite(x));
    for (float x : run_backward(device, logit, token, out.lse, {1, 1}, 1)) CHECK(std::isfinite(x));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(run_logprob(device, {nan, 1, 2}, {1}, 1).logprob[0]));
    CHECK(std::isnan(run_logprob(device, {1, 2, nan}, {1}, 1).logprob[0]));
  }
}

TEST_CASE("token_logprob: the exponential is within 2 ulp, 0 below its range, finite above") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  // With lse 0 and dlogprob -1 the gradient of every other token is its exponential.
  std::vector<float> x = random_values(4000, 1, 87.0f);
  const auto near = random_values(2000, 2, 0.5f);
  x.insert(x.end(), near.begin(), near.end());
  x[0] = 0;
  const auto e = run_backward(device, x, {0}, {0}, {-1}, 1);
  double worst = 0;
  for (size_t i = 1; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    int exponent = 0;
    std::frexp(exact, &exponent);
    worst = std::max(worst, std::fabs(e[i] - exact) / std::ldexp(1.0, exponent - 24));
  }
  MESSAGE("worst error " << worst << " ulp");
  CHECK(worst < 2);
  const auto ends =
      run_backward(device, {0, -87.34f, -1e30f, 89, 1e30f, -87.3f}, {0}, {0}, {-1}, 1);
  CHECK(ends[1] == 0);
  CHECK(ends[2] == 0);
  CHECK(std::isfinite(ends[3]));
  CHECK(ends[3] == ends[4]);
  CHECK(ends[5] > 0);
}

TEST_CASE("token_logprob: backward agrees with finite differences") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  for (float temperature : {1.0f, 0.7f}) {
    const auto logit = random_values(3 * 37, 1, 2), dlogprob = random_values(3, 2);
    const std::vector<int32_t> token = {0, 36, 17};
    const auto lse = run_logprob(device, logit, token, temperature).lse;
    require_gradient(logit, run_backward(device, logit, token, lse, dlogprob, temperature),
                     [&](const auto& moved) {
                       return dot(run_logprob(device, moved, token, temperature).logprob, dlogprob);
                     });
  }
}

TEST_CASE("token_logprob, sample: the same bits with every instruction set") {
  require_same_everywhere([](OnDevice& device) {
    const auto logit = random_values(9 * 101, 1, 5);
    const std::vector<int32_t> token = {0, 100, 17, 16, 15, 99, 1, 2, 3};
    const auto out = run_logprob(device, logit, token, 0.8f);
    const auto back = run_backward(device, logit, token, out.lse, random_values(9, 2), 0.8f);
    const auto drawn = run_sample(device, logit, 9, 101, 0.8f, 0.9f);
    return joined({out.logprob, out.lse, out.entropy, back, as_floats(drawn.token), drawn.logprob});
  });
}

TEST_CASE("sample: tokens come as often as their probabilities say") {
  const std::vector<double> p = {0.3, 0.25, 0.2, 0.1, 0.05, 0.04, 0.03, 0.02, 0.009, 0.001};
  constexpr int64_t kDraws = 20000;
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const auto drawn = run_sample(device, logs(p), kDraws, 10, 1, 1);
    std::vector<double> counts(10);
    for (int32_t token : drawn.token) ++counts[static_cast<size_t>(token)];
    double chi_square = 0;
    for (size_t i = 0; i < 10; ++i) {
      const double expected = p[i] * kDraws;
      chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    CHECK(chi_square < 33.7);  // 9 degrees of freedom: exceeded once in 10,000 seeds.
  }
}

TEST_CASE("sample: top_p keeps the smallest set that reaches it, ties by the smaller id") {
  const auto logit = logs({0.05, 0.2, 0.3, 0.2, 0.2, 0.05});
  const auto kept = [&](OnDevice& device, float top_p) {
    std::vector<int32_t> ids = run_sample(device, logit, 2000, 6, 1, top_p).token;
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  };
  using Ids = std::vector<int32_t>;
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    CHECK(kept(device, 0.1f) == Ids{2});
    CHECK(kept(device, 0.0f) == Ids{2});
    CHECK(kept(device, 0.4f) == Ids{1, 2});
    CHECK(kept(device, 0.6f) == Ids{1, 2, 3});
    CHECK(kept(device, 0.8f) == Ids{1, 2, 3, 4});
    CHECK(kept(device, 1.0f) == Ids{0, 1, 2, 3, 4, 5});
  }
}

TEST_CASE("sample: temperature 0 takes the largest logit, the smaller id of equals") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const std::vector<float> logit = {1, 5, 2, 5, -1e4f, 1, 1, 1, 1, 1};
    const auto drawn = run_sample(device, logit, 2, 5, 0, 1);
    CHECK(drawn.token == std::vector<int32_t>{1, 0});
    require_same(drawn.logprob, run_logprob(device, logit, drawn.token, 1).logprob);
  }
}

TEST_CASE("sample: the logprob of a draw has the bits that scoring gives the same token") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const auto logit = random_values(50 * 101, 1, 5);
    for (float temperature : {1.0f, 0.7f}) {
      for (float top_p : {1.0f, 0.9f}) {
        const auto drawn = run_sample(device, logit, 50, 101, temperature, top_p);
        require_same(drawn.logprob, run_logprob(device, logit, drawn.token, temperature).logprob);
      }
    }
  }
}

TEST_CASE("sample: logits that are no numbers give some token, and a logprob that shows them") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    std::vector<float> logit = random_values(101, 1, 5);
    for (size_t i = 0; i < logit.size(); i += 3) logit[i] = nan;
    for (float temperature : {0.0f, 1.0f}) {
      const auto drawn = run_sample(device, logit, 3, 101, temperature, 0.9f);
      for (int32_t token : drawn.token) CHECK((token >= 0 && token < 101));
      for (float x : drawn.logprob) CHECK(std::isnan(x));
    }
  }
}

}  // namespace
}  // namespace troupe::kernels

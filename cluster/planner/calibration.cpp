#include "cluster/planner/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "schemas/check.h"

namespace troupe::cluster {
namespace {

constexpr size_t kTerms = 3;
using Terms = std::array<double, kTerms>;

Terms terms_of(const MeasuredStep& step) {
  return {1, step.responses, step.responses * step.context};
}

// Least squares of the relative error with the terms of `subset` alone; Gauss with pivots.
Terms solve(const std::vector<MeasuredStep>& steps, unsigned subset) {
  std::array<std::array<double, kTerms + 1>, kTerms> m{};
  for (const MeasuredStep& step : steps) {
    Terms x = terms_of(step);
    for (size_t i = 0; i < kTerms; ++i) x[i] = (subset >> i & 1) != 0 ? x[i] / step.seconds : 0;
    for (size_t i = 0; i < kTerms; ++i) {
      for (size_t j = 0; j < kTerms; ++j) m[i][j] += x[i] * x[j];
      m[i][kTerms] += x[i];
    }
  }
  for (size_t i = 0; i < kTerms; ++i) {
    if ((subset >> i & 1) == 0) m[i][i] = 1;
  }
  for (size_t i = 0; i < kTerms; ++i) {
    size_t pivot = i;
    for (size_t j = i + 1; j < kTerms; ++j) {
      if (std::fabs(m[j][i]) > std::fabs(m[pivot][i])) pivot = j;
    }
    std::swap(m[i], m[pivot]);
    if (m[i][i] == 0) return {};
    for (size_t j = 0; j < kTerms; ++j) {
      if (j == i) continue;
      const double factor = m[j][i] / m[i][i];
      for (size_t k = i; k <= kTerms; ++k) m[j][k] -= factor * m[i][k];
    }
  }
  Terms found{};
  for (size_t i = 0; i < kTerms; ++i) found[i] = m[i][kTerms] / m[i][i];
  return found;
}

double error_of(const std::vector<MeasuredStep>& steps, const Terms& found) {
  double sum = 0;
  for (const MeasuredStep& step : steps) {
    const Terms x = terms_of(step);
    double seconds = 0;
    for (size_t i = 0; i < kTerms; ++i) seconds += found[i] * x[i];
    const double error = seconds / step.seconds - 1;
    sum += error * error;
  }
  return sum;
}

// A rate that makes `flops` take `seconds`; where nothing is left for it, one that is no bound.
double tera_rate(double flops, double seconds) {
  constexpr double kUnbounded = 1e6;
  if (seconds <= 0) return kUnbounded;
  return std::clamp(flops / seconds / 1e12, 1e-6, kUnbounded);
}

}  // namespace

DecodeFit fit_decode(const std::vector<MeasuredStep>& steps) {
  TROUPE_CHECK(steps.size() >= kTerms);
  // Few terms: of all subsets the best whose numbers are not negative.
  Terms best{};
  double least = std::numeric_limits<double>::infinity();
  for (unsigned subset = 1; subset < 1u << kTerms; ++subset) {
    const Terms found = solve(steps, subset);
    if (*std::min_element(found.begin(), found.end()) < 0) continue;
    const double error = error_of(steps, found);
    if (error >= least) continue;
    least = error;
    best = found;
  }
  return {best[0], best[1], best[2]};
}

std::string calibrated_tables(const PolicyCounts& policy, const MeasuredMachine& measured,
                              const std::string& what, const std::string& network) {
  const DecodeFit fit = fit_decode(measured.decode);
  constexpr double kForwards = 3;
  // What a token takes in a layer whatever is computed of it: all that the three have in common,
  // so that each of them is met exactly and the rates carry the rest.
  const double common =
      0.99 * std::min({fit.token, measured.prefill_seconds, measured.learn_seconds / kForwards});
  const auto whole = [&](double length) {
    return forward_flops(policy, 1, length, false);  // A token's: its squares are its length.
  };
  const auto whole_latent = [&](double length) { return forward_flops(policy, 1, length, true); };
  // Of one response and position of its context.
  const double attention = tera_rate(policy.context_flops_latent, fit.position);
  const double gemm = tera_rate(policy.linear_flops, fit.token - common);
  const double prefill =
      tera_rate(whole(measured.prefill_length), measured.prefill_seconds - common);
  const double train = tera_rate(kForwards * whole_latent(measured.learn_length),
                                 measured.learn_seconds - kForwards * common);
  double worst = 0;
  for (const MeasuredStep& step : measured.decode) {
    worst =
        std::max(worst, std::fabs(fit.seconds(step.responses, step.context) / step.seconds - 1));
  }
  std::string text = fmt::format(
      "# Measured by troupe calibrate on this machine, for {} and for no other policy.\n"
      "# A decode step of b responses that see c tokens each: {:.4g} ms + b * ({:.4g} us + c * "
      "{:.4g} ns);\n# farthest from a measured one: {:.0f} %. A token of a prompt takes {:.4g} us, "
      "one that is learned {:.4g} us.\n[device.cpu]\n",
      what, fit.overhead * 1e3, fit.token * 1e6, fit.position * 1e9, worst * 100,
      measured.prefill_seconds * 1e6, measured.learn_seconds * 1e6);
  const auto add = [&](const char* key, double value) {
    text += fmt::format("{} = {:#.5g}\n", key, value);
  };
  const auto add_uncertain = [&](const char* key, double value, double spread) {
    text += fmt::format("{} = {{ median = {:#.5g}, spread = {:#.2g} }}\n", key, value, spread);
  };
  constexpr double kNoBound = 1e6, kSpread = 0.1;
  add("memory_GB", measured.memory_gb);
  add("usable_GB", measured.memory_gb * 0.9);
  add("attention_TFLOPS", attention);
  add("attention_TBps", kNoBound);  // In the rate above.
  add_uncertain("gemm_TFLOPS", gemm, kSpread);
  add_uncertain("gemm_bf16_TFLOPS", gemm, kSpread);
  add("weights_TBps", kNoBound);  // In the overhead of a step.
  add_uncertain("step_overhead_ms", fit.overhead * 1e3, kSpread);
  add_uncertain("prefill_TFLOPS", prefill, kSpread);
  add_uncertain("prefill_bf16_TFLOPS", prefill, kSpread);
  add("train_TFLOPS", train);
  add("train_bf16_TFLOPS", train);
  add_uncertain("layer_token_us", common / policy.layers * 1e6, kSpread);
  add("optimizer_seconds", 0);  // In the time of a token that is learned.
  add_uncertain("load_GBps", measured.load_gbps, kSpread);
  text += fmt::format("\n[network.{}]\n", network);
  add_uncertain("publish_GBps", measured.storage_gbps, kSpread);
  add("storage_GBps", measured.storage_gbps);
  return text;
}

}  // namespace troupe::cluster

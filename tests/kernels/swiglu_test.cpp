#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/on_device.h"

namespace troupe::kernels {
namespace {

using tests::joined;
using tests::OnDevice;
using tests::random_values;
using tests::require_gradient;
using tests::require_same;
using tests::require_same_everywhere;

constexpr int64_t kN = 6, kF = 37;

std::vector<float> run_swiglu(OnDevice& device, const std::vector<float>& gate,
                              const std::vector<float>& up) {
  const auto count = static_cast<int64_t>(gate.size());
  Swiglu args{.y = device.filled_stored(count + 1, 7),
              .gate = device.send(gate),
              .up = device.send(up),
              .N = 1,
              .F = count,
              .ld = count};
  device->swiglu(device.stream(), args);
  auto y = device.receive(args.y, count + 1);
  CHECK(y.back() == 7);
  y.pop_back();
  return y;
}

struct Gradient {
  std::vector<float> dgate, dup, weighted, dweight;
};
// Weights, where given, belong to (token, k) pairs; row i holds pair slot_of_row[i].
const std::vector<int32_t> kSlotRow = {4, 0, 2, 5, 1, 3};
Gradient run_backward(OnDevice& device, const std::vector<float>& da,
                      const std::vector<float>& gate, const std::vector<float>& up,
                      const std::vector<float>& weight) {
  SwigluBackward args{.dgate = device.filled_stored(kN * kF, 7),
                      .dup = device.filled_stored(kN * kF, 7),
                      .weighted = device.filled_stored(kN * kF, 7),
                      .da = device.send(da),
                      .gate = device.send(gate),
                      .up = device.send(up),
                      .N = kN,
                      .F = kF,
                      .ld = kF};
  const Device<float> dweight = device.filled(kN, 0.0f);
  if (!weight.empty()) {
    args.dweight = dweight;
    args.weight = device.send(weight);
    args.slot_row = device.send(kSlotRow);
    args.num_slots = kN;
  }
  device->swiglu_backward(device.stream(), args);
  return {device.receive(args.dgate, kN * kF), device.receive(args.dup, kN * kF),
          device.receive(args.weighted, kN * kF), device.receive(dweight, kN)};
}

TEST_CASE("swiglu: gate times its sigmoid times up") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend, Precision::kFp32);
    const auto y = run_swiglu(device, {0, 1, -2, 1e4f, -1e4f}, {3, 2, 5, 1, 1});
    CHECK(y[0] == 0);
    CHECK(y[1] == doctest::Approx(2 / (1 + std::exp(-1.0))));
    CHECK(y[2] == doctest::Approx(-10 / (1 + std::exp(2.0))));
    CHECK(y[3] == 1e4f);
    CHECK(y[4] == 0);
    CHECK(std::isnan(run_swiglu(device, {std::numeric_limits<float>::quiet_NaN()}, {1})[0]));
  }
}

TEST_CASE("swiglu: the same bits with every instruction set, forward and backward") {
  require_same_everywhere([](OnDevice& device) {
    const auto gate = random_values(kN * kF, 1, 8), up = random_values(kN * kF, 2);
    const auto da = random_values(kN * kF, 3);
    const auto plain = run_backward(device, da, gate, up, {});
    const auto weighted = run_backward(device, da, gate, up, random_values(kN, 4));
    return joined({run_swiglu(device, gate, up), plain.dgate, plain.dup, plain.weighted,
                   weighted.dgate, weighted.dup, weighted.weighted, weighted.dweight});
  });
}

TEST_CASE("swiglu: backward agrees with finite differences, with and without weights") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  const auto gate = random_values(kN * kF, 1, 3), up = random_values(kN * kF, 2);
  const auto da = random_values(kN * kF, 3);
  for (const auto& weight : {std::vector<float>{}, random_values(kN, 4)}) {
    CAPTURE(weight.size());
    // Sum over rows of weight * (da . a), the weight of a row being that of its pair.
    const auto loss = [&](const std::vector<float>& g, const std::vector<float>& u,
                          const std::vector<float>& w) {
      const auto a = run_swiglu(device, g, u);
      double sum = 0;
      for (size_t slot = 0; slot < kN; ++slot) {
        const auto row = static_cast<size_t>(kSlotRow[slot]);
        double part = 0;
        for (size_t i = 0; i < kF; ++i) {
          part += static_cast<double>(da[row * kF + i]) * a[row * kF + i];
        }
        sum += part * (w.empty() ? 1.0 : static_cast<double>(w[slot]));
      }
      return sum;
    };
    const auto back = run_backward(device, da, gate, up, weight);
    require_gradient(gate, back.dgate, [&](const auto& x) { return loss(x, up, weight); });
    require_gradient(up, back.dup, [&](const auto& x) { return loss(gate, x, weight); });
    const auto a = run_swiglu(device, gate, up);
    if (weight.empty()) {
      require_same(back.weighted, a);
      continue;
    }
    require_gradient(weight, back.dweight, [&](const auto& x) { return loss(gate, up, x); });
    for (size_t slot = 0; slot < kN; ++slot) {
      const auto row = static_cast<size_t>(kSlotRow[slot]);
      for (size_t i = 0; i < kF; ++i) {
        REQUIRE(back.weighted[row * kF + i] == weight[slot] * a[row * kF + i]);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::kernels

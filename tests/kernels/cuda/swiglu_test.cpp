// SwiGLU on CUDA kernels against the reference in plain C++, bit for bit; and the exponential that
// it is the first to use.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

std::vector<uint16_t> run(const std::vector<float>& gate, const std::vector<float>& up, int64_t N,
                          int64_t F, int64_t gap) {
  const Rows<float> device_gate(gate, N, F, F + gap), device_up(up, N, F, F + gap);
  const simt::Array<uint16_t> y(static_cast<size_t>(N * F));
  kernels::cuda::swiglu(nullptr, {.y = y.stored(),
                                  .gate = device_gate.device(),
                                  .up = device_up.device(),
                                  .N = N,
                                  .F = F,
                                  .ld = F + gap});
  return y.values();
}

TEST_CASE("cuda swiglu: the reference's bits from every engine and schedule") {
  struct Case {
    int64_t N, F, gap;
  };
  for (const auto& [N, F, gap] : {Case{0, 5, 0}, Case{1, 1, 3}, Case{3, 37, 1}, Case{2, 1023, 1},
                                  Case{2, 1024, 0}, Case{1, 1025, 7}, Case{2, 3000, 0}}) {
    CAPTURE(N);
    CAPTURE(F);
    Random random(static_cast<uint64_t>(N * 1000 + F));
    std::vector<float> gate(static_cast<size_t>(N * F)), up(gate.size());
    // From where the sigmoid is curved to where it is 0 or 1.
    for (float& v : gate) v = random.uniform() * (random.in(0, 3) == 0 ? 60.0f : 3.0f);
    for (float& v : up) v = random.uniform();
    const std::vector<uint16_t> expected = cuda_reference::swiglu(gate, up);
    on_every_engine(
        4, [&, N = N, F = F, gap = gap] { REQUIRE(run(gate, up, N, F, gap) == expected); });
  }
}

TEST_CASE("cuda swiglu backward: the reference's bits from every engine and schedule") {
  struct Case {
    int64_t N, F, gap;
    bool is_weighted;
  };
  for (const auto& [N, F, gap, is_weighted] :
       {Case{0, 5, 0, false}, Case{0, 5, 0, true}, Case{1, 1, 3, true}, Case{3, 37, 1, true},
        Case{2, 1023, 1, true}, Case{4, 1024, 0, true}, Case{1, 1025, 7, true},
        Case{2, 2052, 4, false}, Case{2, 127, 1, false}}) {
    CAPTURE(N);
    CAPTURE(F);
    Random random(static_cast<uint64_t>(N * 1000 + F));
    std::vector<float> gate(static_cast<size_t>(N * F)), up(gate.size()), da(gate.size());
    std::vector<float> weight(static_cast<size_t>(N), 1.0f);
    for (float& v : gate) v = random.uniform() * (random.in(0, 3) == 0 ? 60.0f : 3.0f);
    for (float& v : up) v = random.uniform();
    for (float& v : da) v = random.uniform();
    std::vector<int32_t> slot_row;
    for (int64_t n = N - 1; n >= 0 && is_weighted; --n) {
      slot_row.push_back(static_cast<int32_t>(n));  // The last row is the first slot.
      weight[static_cast<size_t>(n)] = random.uniform();
    }
    const auto expected = cuda_reference::swiglu_backward(da, gate, up, weight, F);
    const std::vector<float> weight_of_slot(weight.rbegin(), weight.rend());
    const std::vector<float> dweight_of_slot(expected.dweight.rbegin(), expected.dweight.rend());
    on_every_engine(4, [&, N = N, F = F, gap = gap, is_weighted = is_weighted] {
      const Rows<float> device_gate(gate, N, F, F + gap), device_up(up, N, F, F + gap);
      const simt::Array<float> device_da(da), device_weight(weight_of_slot);
      const simt::Array<float> dweight(weight.size());
      const simt::Array<int32_t> rows(slot_row);
      const simt::Array<uint16_t> dgate(gate.size()), dup(gate.size()), weighted(gate.size());
      kernels::SwigluBackward args{.dgate = dgate.stored(),
                                   .dup = dup.stored(),
                                   .da = device_da.device(),
                                   .gate = device_gate.device(),
                                   .up = device_up.device(),
                                   .N = N,
                                   .F = F,
                                   .ld = F + gap};
      if (is_weighted) {
        args.weighted = weighted.stored();
        args.dweight = dweight.device();
        args.weight = device_weight.device();
        args.slot_row = rows.device();
        args.num_slots = N;
      }
      kernels::cuda::swiglu_backward(nullptr, args);
      REQUIRE(dgate.values() == expected.dgate);
      REQUIRE(dup.values() == expected.dup);
      if (!is_weighted) return;
      REQUIRE(weighted.values() == expected.weighted);
      REQUIRE(has_same_bits(dweight.values(), dweight_of_slot));
    });
  }
}

TEST_CASE("cuda swiglu backward: the reference is the slope of the mathematics") {
  const auto a = [](double gate, double up) { return gate / (1 + std::exp(-gate)) * up; };
  const double h = 1e-5, weight = 0.75, da = -1.5, up = 1.25;
  for (float gate = -20; gate < 20; gate += 0.37f) {
    const auto got = cuda_reference::swiglu_backward({static_cast<float>(da)}, {gate},
                                                     {static_cast<float>(up)}, {0.75f}, 1);
    const double want[] = {weight * da * (a(gate + h, up) - a(gate - h, up)) / (2 * h),
                           weight * da * (a(gate, up + h) - a(gate, up - h)) / (2 * h),
                           weight * a(gate, up)};
    const uint16_t values[] = {got.dgate[0], got.dup[0], got.weighted[0]};
    for (int i = 0; i < 3; ++i) {
      CHECK(std::abs(double{cuda_reference::from_bf16(values[i])} - want[i]) <=
            std::abs(want[i]) * (1.0 / 256 + 1e-5) + 1e-6);
    }
    CHECK(double{got.dweight[0]} == doctest::Approx(da * a(gate, up)).epsilon(1e-5));
  }
}

TEST_CASE("cuda swiglu: the reference is the mathematics within bf16") {
  for (float gate = -20; gate < 20; gate += 0.37f) {
    const double want = double{gate} / (1 + std::exp(-double{gate})) * 1.25;
    const float got = cuda_reference::from_bf16(cuda_reference::swiglu({gate}, {1.25f})[0]);
    CHECK(std::abs(double{got} - want) <= std::abs(want) * (1.0 / 256 + 1e-5));
  }
}

TEST_CASE("cuda exponential: within one unit in the last place, to the ends of its range") {
  double worst = 0;
  for (int i = -104 * 4096; i <= 88 * 4096 + 2900; ++i) {
    const float x = static_cast<float>(i) / 4096 + 1e-6f;
    const double want = std::exp(double{x});
    // Subnormals have 2^-149 as their last place.
    const double place = std::ldexp(1.0, std::max(std::ilogb(want) - 23, -149));
    worst = std::max(worst, std::abs(double{cuda_reference::exponential(x)} - want) / place);
  }
  MESSAGE("at worst " << worst << " units");
  CHECK(worst <= 1.0);
  CHECK(cuda_reference::exponential(0) == 1);
  CHECK(cuda_reference::exponential(-0.0f) == 1);
  CHECK(cuda_reference::exponential(-200) == 0);
  CHECK(std::isinf(cuda_reference::exponential(88.8f)));
  CHECK(std::isinf(cuda_reference::exponential(INFINITY)));
  CHECK(cuda_reference::exponential(-INFINITY) == 0);
  CHECK(std::isnan(cuda_reference::exponential(NAN)));
}

}  // namespace
}  // namespace troupe::tests

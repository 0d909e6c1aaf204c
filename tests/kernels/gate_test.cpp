// The router: which experts a token goes to, where its rows lie, and how they come back together.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

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

struct Choice {
  std::vector<int32_t> expert;
  std::vector<float> weight, score;
};
struct GateShape {
  int64_t N = 1, E = 1, K = 1, num_groups = 1, groups_kept = 1;
  bool normalises = true;
  float scaling = 1;
};
Choice run_gate(OnDevice& device, const GateShape& shape, const std::vector<float>& logit,
                const std::vector<float>& bias) {
  Gate args{.expert = device.filled(shape.N * shape.K, -1),
            .weight = device.filled(shape.N * shape.K, 0.0f),
            .score = device.filled(shape.N * shape.E, 0.0f),
            .logit = device.send(logit),
            .bias = device.send(bias),
            .N = shape.N,
            .E = shape.E,
            .K = shape.K,
            .num_groups = shape.num_groups,
            .groups_kept = shape.groups_kept,
            .normalises = shape.normalises,
            .scaling = shape.scaling};
  device->gate(device.stream(), args);
  return {device.receive(args.expert, shape.N * shape.K),
          device.receive(args.weight, shape.N * shape.K),
          device.receive(args.score, shape.N * shape.E)};
}
std::vector<float> run_gate_backward(OnDevice& device, const GateShape& shape, const Choice& choice,
                                     const std::vector<float>& dweight) {
  GateBackward args{.dlogit = device.filled_stored(shape.N * shape.E, 7),
                    .dweight = device.send(dweight),
                    .expert = device.send(choice.expert),
                    .score = device.send(choice.score),
                    .N = shape.N,
                    .E = shape.E,
                    .K = shape.K,
                    .normalises = shape.normalises,
                    .scaling = shape.scaling};
  device->gate_backward(device.stream(), args);
  return device.receive(args.dlogit, shape.N * shape.E);
}

// Distinct logits far enough apart that a small step changes no choice.
std::vector<float> spaced_logits(int64_t N, int64_t E) {
  std::vector<float> logit;
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t e = 0; e < E; ++e) {
      logit.push_back(0.25f * static_cast<float>((e * 5 + n * 3) % E) - 1.5f);
    }
  }
  return logit;
}

using Experts = std::vector<int32_t>;

TEST_CASE("gate: ties go to the smaller index, experts come in rising order") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const GateShape shape{.N = 2, .E = 5, .K = 3};
    const auto choice = run_gate(device, shape, {0, 1, 0, 1, 0, 2, 2, 2, 2, 2}, {0, 0, 0, 0, 0});
    CHECK(choice.expert == Experts{0, 1, 3, 0, 1, 2});
    CHECK(choice.weight[3] == doctest::Approx(1.0 / 3));
  }
}

TEST_CASE("gate: the bias chooses but does not weigh") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const GateShape shape{.N = 1, .E = 3, .K = 2, .normalises = false, .scaling = 2};
    const auto choice = run_gate(device, shape, {0, 1, 2}, {5, 0, 0});
    CHECK(choice.expert == Experts{0, 2});
    CHECK(choice.weight[0] == doctest::Approx(2 * 0.5));
    CHECK(choice.weight[1] == doctest::Approx(2 / (1 + std::exp(-2.0))));
  }
}

TEST_CASE("gate: groups compete by their two best, ties for the smaller group") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    // Sums of the two best: 0.5 + 0.5, 0.88 + 0.12, 0.73 + 0.73.
    const GateShape shape{.N = 1, .E = 9, .K = 3, .num_groups = 3, .groups_kept = 1};
    CHECK(run_gate(device, shape, {0, 0, 0, 2, -2, -9, 1, 1, -9}, std::vector<float>(9)).expert ==
          Experts{6, 7, 8});
    CHECK(run_gate(device, shape, std::vector<float>(9), std::vector<float>(9)).expert ==
          Experts{0, 1, 2});
    const GateShape two{.N = 1, .E = 9, .K = 3, .num_groups = 3, .groups_kept = 2};
    CHECK(run_gate(device, two, {0, 0, 0, 0, 0, 0, 0, 0, 3}, std::vector<float>(9)).expert ==
          Experts{0, 1, 8});
    // A negative bias keeps its expert behind, but not out of a group that is kept.
    CHECK(run_gate(device, shape, std::vector<float>(9), {-9, -9, -9, -9, -9, -9, -9, -8, -9})
              .expert == Experts{6, 7, 8});
  }
}

TEST_CASE("gate: extreme logits give scores in [0, 1], and no number is shown as such") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const GateShape shape{.N = 1, .E = 4, .K = 2};
    const auto choice = run_gate(device, shape, {1e4f, -1e4f, 88.5f, -88.5f}, {0, 0, 0, 0});
    CHECK(choice.score == std::vector<float>{1, 0, 1, 0});
    CHECK(choice.expert == Experts{0, 2});
    const auto none = run_gate(device, shape, {-1e4f, -1e4f, -1e4f, -1e4f}, {0, 0, 0, 0});
    CHECK(none.weight == std::vector<float>{0, 0});
    const auto broken = run_gate(device, shape, {nan, nan, nan, nan}, {0, 0, 0, 0});
    for (int32_t expert : broken.expert) CHECK((expert >= 0 && expert < 4));
    CHECK(std::isnan(broken.weight[0]));
  }
}

TEST_CASE("gate: the same bits with every instruction set, forward and backward") {
  require_same_everywhere([](OnDevice& device) {
    const GateShape shape{
        .N = 40, .E = 21, .K = 5, .num_groups = 7, .groups_kept = 3, .scaling = 2.5f};
    const auto choice =
        run_gate(device, shape, random_values(40 * 21, 1, 3), random_values(21, 2, 0.1f));
    const auto dlogit = run_gate_backward(device, shape, choice, random_values(40 * 5, 3));
    return joined({as_floats(choice.expert), choice.weight, choice.score, dlogit});
  });
}

TEST_CASE("gate: backward agrees with finite differences, normalised and not") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  for (const bool normalises : {false, true}) {
    const GateShape shape{.N = 3, .E = 12, .K = 4, .normalises = normalises, .scaling = 1.5f};
    const auto logit = spaced_logits(3, 12), dweight = random_values(12, 1);
    const std::vector<float> bias(12);
    const auto choice = run_gate(device, shape, logit, bias);
    require_gradient(logit, run_gate_backward(device, shape, choice, dweight),
                     [&](const auto& moved) {
                       const auto there = run_gate(device, shape, moved, bias);
                       REQUIRE(there.expert == choice.expert);
                       return dot(there.weight, dweight);
                     });
  }
}

struct Routed {
  std::vector<int32_t> offsets, row_token, slot_row;
  std::vector<int64_t> counts;
};
Routed run_route(OnDevice& device, const std::vector<int32_t>& expert, int64_t E, int64_t K) {
  const auto slots = static_cast<int64_t>(expert.size());
  Route args{.offsets = device.filled(E + 1, -1),
             .row_token = device.filled(slots, -1),
             .slot_row = device.filled(slots, -1),
             .counts = device.filled(E, int64_t{10}),
             .expert = device.send(expert),
             .N = slots / K,
             .E = E,
             .K = K};
  device->route(device.stream(), args);
  return {device.receive(args.offsets, E + 1), device.receive(args.row_token, slots),
          device.receive(args.slot_row, slots), device.receive(args.counts, E)};
}

TEST_CASE("route: an expert's rows are its tokens in order, counts are added up") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const auto routed = run_route(device, {1, 3, 0, 1, 1, 3}, 5, 2);
    CHECK(routed.offsets == Experts{0, 1, 4, 4, 6, 6});
    CHECK(routed.row_token == Experts{1, 0, 1, 2, 0, 2});
    CHECK(routed.slot_row == Experts{1, 4, 0, 2, 3, 5});
    CHECK(routed.counts == std::vector<int64_t>{11, 13, 10, 12, 10});
    CHECK(run_route(device, {}, 2, 1).offsets == Experts{0, 0, 0});
  }
}

TEST_CASE("combine_experts: adds a token's rows by weight in the order of its experts") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    // Two experts that multiply by 1 and by 10.
    const int64_t stride = device->packed_bytes(Precision::kBf16, 2, 2);
    const uint64_t weights = device.reserve(2 * stride);
    for (int64_t e = 0; e < 2; ++e) {
      const float one = e == 0 ? 1 : 10;
      device->pack(device.stream(), {weights + static_cast<uint64_t>(e * stride), 2, 2},
                   device.send(std::vector<float>{one, 0, 0, one}), 2, /*is_transposed=*/false);
    }
    CombineExperts args{.out = device.filled(4, 100.0f),
                        .x = device.send_stored({1, 2, 3, 4, 0.5f, 0.25f, 7, 8}),
                        .w = {weights, 2, 2},
                        .w_stride_bytes = stride,
                        .weight = device.send(std::vector<float>{2, 10, 0.5f, 1}),
                        .slot_row = device.send(std::vector<int32_t>{0, 3, 1, 2}),
                        .offsets = device.send(std::vector<int32_t>{0, 2, 4}),
                        .N = 2,
                        .K = 2,
                        .D = 2,
                        .E = 2,
                        .F = 2};
    device->combine_experts(device.stream(), args);
    CHECK(device.receive(args.out, 4) == std::vector<float>{802, 904, 106.5f, 104.5f});
    args.weight = {};
    device->combine_experts(device.stream(), args);
    CHECK(device.receive(args.out, 4) == std::vector<float>{873, 986, 114.5f, 111});
    args.x2 = device.send_stored({1, 0, 0, 0, 0, 0, 0, 0});
    args.w2 = args.w;
    args.out = device.filled(4, 100.0f);
    device->combine_experts(device.stream(), args);
    CHECK(device.receive(args.out, 4) == std::vector<float>{172, 182, 108, 106.5f});
  }
}

// Enough rows that columns are taken in several steps.
TEST_CASE("combine_experts: the rows of a grouped product, weighted and added, everywhere") {
  constexpr int64_t kExperts = 3, kTokens = 1400, kChosen = 2, kF = 33, kD = 100;
  constexpr int64_t kRows = kTokens * kChosen;
  const std::vector<int32_t> offsets = {0, 1000, 1001, kRows};
  std::vector<int32_t> slots;
  for (int32_t i = 0; i < kRows; ++i) slots.push_back((i * 1237 + 5) % kRows);
  const auto base = random_values(kTokens * kD, 1), weight = random_values(kRows, 2);
  require_same_everywhere([&](OnDevice& device) {
    const int64_t stride = device->packed_bytes(device.precision(), kD, kF);
    const uint64_t weights = device.reserve(2 * kExperts * stride);
    for (int64_t i = 0; i < 2 * kExperts; ++i) {
      device->pack(device.stream(), {weights + static_cast<uint64_t>(i * stride), kD, kF},
                   device.send(random_values(kD * kF, static_cast<uint64_t>(10 + i))), kF, false);
    }
    CombineExperts args{.out = device.send(base),
                        .x = device.send_stored(random_values(kRows * kF, 3)),
                        .x2 = device.send_stored(random_values(kRows * kF, 4)),
                        .w = {weights, kD, kF},
                        .w2 = {weights + static_cast<uint64_t>(kExperts * stride), kD, kF},
                        .w_stride_bytes = stride,
                        .weight = device.send(weight),
                        .slot_row = device.send(slots),
                        .offsets = device.send(offsets),
                        .N = kTokens,
                        .K = kChosen,
                        .D = kD,
                        .E = kExperts,
                        .F = kF};
    device->combine_experts(device.stream(), args);
    const auto got = device.receive(args.out, kTokens * kD);

    GroupedGemm product{.w_stride_bytes = stride, .num_groups = kExperts, .offsets = args.offsets};
    product.gemm = {.y = device.filled(kRows * kD, 0.0f),
                    .x = args.x,
                    .w = args.w,
                    .M = kRows,
                    .ldy = kD,
                    .ldx = kF};
    device->grouped_gemm(device.stream(), product);
    product.gemm.x = args.x2;
    product.gemm.w = args.w2;
    product.gemm.accumulates = true;
    device->grouped_gemm(device.stream(), product);
    const auto rows = device.receive(product.gemm.y, kRows * kD);
    std::vector<float> want;
    for (int64_t n = 0; n < kTokens; ++n) {
      for (int64_t i = 0; i < kD; ++i) {
        float sum = 0;
        for (int64_t k = 0; k < kChosen; ++k) {
          const auto slot = static_cast<size_t>(n * kChosen + k);
          sum += weight[slot] * rows[static_cast<size_t>(slots[slot] * kD + i)];
        }
        want.push_back(base[static_cast<size_t>(n * kD + i)] + sum);
      }
    }
    require_same(got, want);
    return got;
  });
}

}  // namespace
}  // namespace troupe::kernels

// RMSNorm, and the two places of latent attention where it meets a rotation: query and latent rows.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "tests/support/on_device.h"

namespace troupe::kernels {
namespace {

using tests::dot;
using tests::joined;
using tests::OnDevice;
using tests::random_values;
using tests::require_gradient;
using tests::require_same_everywhere;

constexpr int64_t kN = 21, kD = 37;
constexpr float kEpsilon = 1e-6f;

struct NormOut {
  std::vector<float> y, rstd;
};
NormOut run_rmsnorm(OnDevice& device, const std::vector<float>& x, const std::vector<float>& weight,
                    int64_t N, int64_t D) {
  RmsNorm args{.y = device.filled_stored(N * D, 0),
               .rstd = device.filled(N, 0.0f),
               .x = device.send(x),
               .weight = device.send(weight),
               .N = N,
               .D = D,
               .ldx = D,
               .ldy = D,
               .epsilon = kEpsilon};
  device->rmsnorm(device.stream(), args);
  return {device.receive(args.y, N * D), device.receive(args.rstd, N)};
}

struct NormGradient {
  std::vector<float> dx, dweight;
};
NormGradient run_rmsnorm_backward(OnDevice& device, const std::vector<float>& x,
                                  const std::vector<float>& weight, const std::vector<float>& dy,
                                  const std::vector<float>& rstd, float dx_before,
                                  bool overwrites) {
  RmsNormBackward args{.dx = device.filled(kN * kD, dx_before),
                       .dweight = device.filled(kD, 0.0f),
                       .dy = device.send(dy),
                       .x = device.send(x),
                       .rstd = device.send(rstd),
                       .weight = device.send(weight),
                       .N = kN,
                       .D = kD,
                       .ldx = kD,
                       .lddy = kD,
                       .overwrites = overwrites};
  device->rmsnorm_backward(device.stream(), args);
  return {device.receive(args.dx, kN * kD), device.receive(args.dweight, kD)};
}

TEST_CASE("rmsnorm: 3, 4 with weights 1, 2 is 0.848.., 2.263..") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend, Precision::kFp32);
    const auto out = run_rmsnorm(device, {3, 4}, {1, 2}, 1, 2);
    CHECK(out.y[0] == doctest::Approx(3 / std::sqrt(12.5)));
    CHECK(out.y[1] == doctest::Approx(8 / std::sqrt(12.5)));
    CHECK(out.rstd[0] == doctest::Approx(1 / std::sqrt(12.5)));
  }
}

TEST_CASE("rmsnorm: zeros and huge rows give numbers") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  const auto out = run_rmsnorm(device, {0, 0, 1e18f, -1e18f, 1e-18f, 0}, {1, 1}, 3, 2);
  for (float y : out.y) CHECK(std::isfinite(y));
  CHECK(out.y[0] == 0);
  CHECK(out.y[2] == doctest::Approx(1));
}

TEST_CASE("rmsnorm: the same bits with every instruction set, forward and backward") {
  require_same_everywhere([](OnDevice& device) {
    const auto x = random_values(kN * kD, 1), weight = random_values(kD, 2);
    const auto out = run_rmsnorm(device, x, weight, kN, kD);
    const auto back = run_rmsnorm_backward(device, x, weight, random_values(kN * kD, 3), out.rstd,
                                           0.25f, /*overwrites=*/false);
    return joined({out.y, out.rstd, back.dx, back.dweight});
  });
}

TEST_CASE("rmsnorm: backward agrees with finite differences") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  const auto x = random_values(kN * kD, 1), weight = random_values(kD, 2);
  const auto dy = random_values(kN * kD, 3);
  const auto rstd = run_rmsnorm(device, x, weight, kN, kD).rstd;
  const auto back = run_rmsnorm_backward(device, x, weight, dy, rstd, 9.0f, /*overwrites=*/true);
  require_gradient(x, back.dx, [&](const auto& moved) {
    return dot(run_rmsnorm(device, moved, weight, kN, kD).y, dy);
  });
  require_gradient(weight, back.dweight, [&](const auto& moved) {
    return dot(run_rmsnorm(device, x, moved, kN, kD).y, dy);
  });
  // Without `overwrites` the gradient is added to what is there.
  const auto added = run_rmsnorm_backward(device, x, weight, dy, rstd, 0.5f, /*overwrites=*/false);
  for (size_t i = 0; i < added.dx.size(); ++i) REQUIRE(added.dx[i] == 0.5f + back.dx[i]);
}

TEST_CASE(
    "rmsnorm: a row's bits do not depend on the rows beside it or on where it is taken from") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const auto x = random_values(kN * kD, 1), weight = random_values(kD, 2);
    const auto whole = run_rmsnorm(device, x, weight, kN, kD);
    RmsNorm args{.y = device.filled_stored(kD + 3, 7.0f),
                 .rstd = device.filled(1, 0.0f),
                 .x = device.send(x),
                 .weight = device.send(weight),
                 .x_rows = device.send(std::vector<int32_t>{17}),
                 .N = 1,
                 .D = kD,
                 .ldx = kD,
                 .ldy = kD,
                 .epsilon = kEpsilon};
    device->rmsnorm(device.stream(), args);
    auto want = std::vector<float>(whole.y.begin() + 17 * kD, whole.y.begin() + 18 * kD);
    want.resize(static_cast<size_t>(kD + 3), 7.0f);
    tests::require_same(device.receive(args.y, kD + 3), want);
  }
}

// Shapes of the attention's rows: R latent, P rotated, W = padded(R + P).
constexpr int64_t kTokens = 5, kHeads = 3, kNope = 19, kR = 21, kP = 6, kW = 32;

std::vector<float> rope_table(int64_t positions) {
  std::vector<float> table;
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < kP; i += 2) {
      const double angle = static_cast<double>(p) * std::pow(10.0, -static_cast<double>(i) / kP);
      table.push_back(static_cast<float>(std::cos(angle)));
      table.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return table;
}
const std::vector<int32_t> kPositions = {0, 3, 1, 7, 2};

struct QueryOut {
  std::vector<float> nope, row;
};
QueryOut run_query(OnDevice& device, const std::vector<float>& q) {
  MlaQuery args{.nope = device.filled_stored(kTokens * kHeads * kNope, 7),
                .row = device.filled_stored(kTokens * kHeads * kW, 7),
                .q = device.send(q),
                .position = device.send(kPositions),
                .table = device.send(rope_table(8)),
                .N = kTokens,
                .H = kHeads,
                .nope_dim = kNope,
                .R = kR,
                .P = kP};
  device->mla_query(device.stream(), args);
  return {device.receive(args.nope, kTokens * kHeads * kNope),
          device.receive(args.row, kTokens * kHeads * kW)};
}
std::vector<float> run_query_backward(OnDevice& device, const std::vector<float>& dnope,
                                      const std::vector<float>& drow) {
  MlaQueryBackward args{.dq = device.filled_stored(kTokens * kHeads * (kNope + kP), 7),
                        .dnope = device.send(dnope),
                        .drow = device.send(drow),
                        .position = device.send(kPositions),
                        .table = device.send(rope_table(8)),
                        .N = kTokens,
                        .H = kHeads,
                        .nope_dim = kNope,
                        .R = kR,
                        .P = kP};
  device->mla_query_backward(device.stream(), args);
  return device.receive(args.dq, kTokens * kHeads * (kNope + kP));
}

TEST_CASE("mla_query: rotates pairs by position, pads with zeros, leaves the latent part alone") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend, Precision::kFp32);
    const auto q = random_values(kTokens * kHeads * (kNope + kP), 1);
    const auto out = run_query(device, q);
    const auto table = rope_table(8);
    for (size_t n = 0; n < kTokens; ++n) {
      for (size_t h = 0; h < kHeads; ++h) {
        const float* from = &q[(n * kHeads + h) * (kNope + kP)];
        const float* row = &out.row[(n * kHeads + h) * kW];
        for (size_t i = 0; i < kNope; ++i) {
          REQUIRE(out.nope[(n * kHeads + h) * kNope + i] == from[i]);
        }
        for (size_t i = 0; i < kR; ++i) REQUIRE(row[i] == 7);
        for (size_t i = 0; i < kP; i += 2) {
          const float* angle = &table[static_cast<size_t>(kPositions[n]) * kP + i];
          const float a = from[kNope + i], b = from[kNope + i + 1];
          REQUIRE(row[kR + i] == doctest::Approx(a * angle[0] - b * angle[1]));
          REQUIRE(row[kR + i + 1] == doctest::Approx(a * angle[1] + b * angle[0]));
        }
        for (size_t i = kR + kP; i < kW; ++i) REQUIRE(row[i] == 0);
      }
    }
  }
}

TEST_CASE("mla_query: backward agrees with finite differences") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  const auto q = random_values(kTokens * kHeads * (kNope + kP), 1);
  const auto dnope = random_values(kTokens * kHeads * kNope, 2);
  const auto drow = random_values(kTokens * kHeads * kW, 3);
  require_gradient(q, run_query_backward(device, dnope, drow), [&](const auto& moved) {
    const auto out = run_query(device, moved);
    return dot(out.nope, dnope) + dot(out.row, drow);
  });
}

const std::vector<int32_t> kSlots = {4, 0, 6, 2, 3};

struct LatentOut {
  std::vector<float> cache, rstd;
};
LatentOut run_latent(OnDevice& device, const std::vector<float>& kv,
                     const std::vector<float>& weight) {
  MlaLatent args{.cache = device.filled_stored(8 * kW, 7),
                 .rstd = device.filled(kTokens, 0.0f),
                 .kv = device.send(kv),
                 .weight = device.send(weight),
                 .position = device.send(kPositions),
                 .slot = device.send(kSlots),
                 .table = device.send(rope_table(8)),
                 .N = kTokens,
                 .R = kR,
                 .P = kP,
                 .epsilon = kEpsilon};
  device->mla_latent(device.stream(), args);
  return {device.receive(args.cache, 8 * kW), device.receive(args.rstd, kTokens)};
}
struct LatentGradient {
  std::vector<float> dkv, dweight;
};
LatentGradient run_latent_backward(OnDevice& device, const std::vector<float>& kv,
                                   const std::vector<float>& weight, const std::vector<float>& rstd,
                                   const std::vector<float>& dlatent) {
  MlaLatentBackward args{.dkv = device.filled_stored(kTokens * (kR + kP), 7),
                         .dweight = device.filled(kR, 0.0f),
                         .dlatent = device.send(dlatent),
                         .kv = device.send(kv),
                         .rstd = device.send(rstd),
                         .weight = device.send(weight),
                         .position = device.send(kPositions),
                         .table = device.send(rope_table(8)),
                         .N = kTokens,
                         .R = kR,
                         .P = kP};
  device->mla_latent_backward(device.stream(), args);
  return {device.receive(args.dkv, kTokens * (kR + kP)), device.receive(args.dweight, kR)};
}

TEST_CASE("mla_latent: writes whole rows, padding too, at their slots and nowhere else") {
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const auto out =
        run_latent(device, random_values(kTokens * (kR + kP), 1), random_values(kR, 2));
    for (size_t row : {1u, 5u, 7u}) {
      for (size_t i = 0; i < kW; ++i) REQUIRE(out.cache[row * kW + i] == 7);
    }
    for (int32_t slot : kSlots) {
      for (size_t i = kR + kP; i < kW; ++i) {
        REQUIRE(out.cache[static_cast<size_t>(slot) * kW + i] == 0);
      }
      REQUIRE(std::fabs(out.cache[static_cast<size_t>(slot) * kW]) < 3);
    }
  }
}

TEST_CASE("mla_latent: backward agrees with finite differences") {
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  const auto kv = random_values(kTokens * (kR + kP), 1), weight = random_values(kR, 2);
  const auto dlatent = random_values(kTokens * kW, 3);
  const auto loss = [&](const std::vector<float>& x, const std::vector<float>& w) {
    const auto out = run_latent(device, x, w);
    double sum = 0;
    for (size_t n = 0; n < kTokens; ++n) {
      for (size_t i = 0; i < kR + kP; ++i) {
        sum += static_cast<double>(out.cache[static_cast<size_t>(kSlots[n]) * kW + i]) *
               dlatent[n * kW + i];
      }
    }
    return sum;
  };
  const auto back =
      run_latent_backward(device, kv, weight, run_latent(device, kv, weight).rstd, dlatent);
  require_gradient(kv, back.dkv, [&](const auto& moved) { return loss(moved, weight); });
  require_gradient(weight, back.dweight, [&](const auto& moved) { return loss(kv, moved); });
}

TEST_CASE("mla: the same bits with every instruction set, forward and backward") {
  require_same_everywhere([](OnDevice& device) {
    const auto query = run_query(device, random_values(kTokens * kHeads * (kNope + kP), 1));
    const auto dq = run_query_backward(device, random_values(kTokens * kHeads * kNope, 2),
                                       random_values(kTokens * kHeads * kW, 3));
    const auto kv = random_values(kTokens * (kR + kP), 4), weight = random_values(kR, 5);
    const auto latent = run_latent(device, kv, weight);
    const auto back =
        run_latent_backward(device, kv, weight, latent.rstd, random_values(kTokens * kW, 6));
    return joined({query.nope, query.row, dq, latent.cache, latent.rstd, back.dkv, back.dweight});
  });
}

}  // namespace
}  // namespace troupe::kernels

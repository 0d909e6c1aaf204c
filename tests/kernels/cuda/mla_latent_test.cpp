// MLA's latent rows and their gradient on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::from_bf16;

constexpr int64_t kPositions = 40;
constexpr float kEpsilon = 1e-6f;

struct Case {
  int64_t N, R, P;
};
const Case kCases[] = {{0, 16, 4},  {1, 1, 2},      {2, 30, 2},   {3, 33, 62},
                       {3, 31, 66}, {17, 64, 64},   {2, 512, 64}, {2, 1023, 2},
                       {2, 7, 0},   {1, 1025, 514}, {2, 2052, 32}};

cuda_reference::Rotation rotation_of(Random& random, int64_t N, int64_t P) {
  cuda_reference::Rotation rotation{
      .table = std::vector<float>(static_cast<size_t>(kPositions * P)),
      .position = std::vector<int32_t>(static_cast<size_t>(N)),
      .P = P};
  for (size_t i = 0; i < rotation.table.size(); i += 2) {
    const float angle = random.uniform() * 2;
    rotation.table[i] = std::cos(angle);
    rotation.table[i + 1] = std::sin(angle);
  }
  for (int32_t& p : rotation.position) p = random.in(0, kPositions - 1);
  return rotation;
}

TEST_CASE("cuda mla latent: the reference's bits from every engine and schedule") {
  for (const auto& [N, R, P] : kCases) {
    CAPTURE(N);
    CAPTURE(R);
    CAPTURE(P);
    Random random(static_cast<uint64_t>(R * 100 + P));
    const cuda_reference::Rotation rotation = rotation_of(random, N, P);
    const std::vector<float> kv = random.numbers(N * (R + P)), weight = random.numbers(R);
    const cuda_reference::Normalised expected =
        cuda_reference::mla_latent(kv, weight, rotation, R, kEpsilon);
    // Rows of the cache in another order, with some between them that are left alone.
    const int64_t W = kernels::padded(R + P);
    std::vector<int32_t> slots(static_cast<size_t>(N));
    for (size_t n = 0; n < slots.size(); ++n)
      slots[n] = static_cast<int32_t>(2 * (N - 1) - 2 * static_cast<int64_t>(n));
    on_every_engine(4, [&, N = N, R = R, P = P] {
      const simt::Array<float> device_kv(kv), device_weight(weight), table(rotation.table);
      const simt::Array<float> rstd(static_cast<size_t>(N));
      const simt::Array<int32_t> position(rotation.position), slot(slots);
      const simt::Array<uint16_t> cache(
          std::vector<uint16_t>(static_cast<size_t>(2 * N * W), 0x1234));
      kernels::cuda::mla_latent(nullptr, {.cache = cache.stored(),
                                          .rstd = rstd.device(),
                                          .kv = device_kv.device(),
                                          .weight = device_weight.device(),
                                          .position = position.device(),
                                          .slot = slot.device(),
                                          .table = table.device(),
                                          .N = N,
                                          .R = R,
                                          .P = P,
                                          .epsilon = kEpsilon});
      REQUIRE(has_same_bits(rstd.values(), expected.rstd));
      std::vector<uint16_t> all(static_cast<size_t>(2 * N * W), 0x1234);
      for (size_t n = 0; n < slots.size(); ++n) {
        std::copy_n(expected.y.begin() + static_cast<int64_t>(n) * W, W,
                    all.begin() + slots[n] * W);
      }
      REQUIRE(cache.values() == all);
    });
  }
}

TEST_CASE("cuda mla latent backward: the reference's bits from every engine and schedule") {
  for (const auto& [N, R, P] : kCases) {
    CAPTURE(N);
    CAPTURE(R);
    CAPTURE(P);
    Random random(static_cast<uint64_t>(R * 100 + P + 1));
    const cuda_reference::Rotation rotation = rotation_of(random, N, P);
    const std::vector<float> kv = random.numbers(N * (R + P)), weight = random.numbers(R);
    const std::vector<float> dlatent = random.numbers(N * kernels::padded(R + P));
    const std::vector<float> rstd = random.numbers(N), before = random.numbers(R);
    std::vector<float> dweight = before;
    const std::vector<uint16_t> expected =
        cuda_reference::mla_latent_backward(dweight, dlatent, kv, rstd, weight, rotation);
    on_every_engine(4, [&, N = N, R = R, P = P] {
      const simt::Array<float> device_kv(kv), device_weight(weight), table(rotation.table);
      const simt::Array<float> device_rstd(rstd), device_dlatent(dlatent), device_dweight(before);
      const simt::Array<int32_t> position(rotation.position);
      const simt::Array<uint16_t> dkv(expected.size());
      kernels::cuda::mla_latent_backward(nullptr, {.dkv = dkv.stored(),
                                                   .dweight = device_dweight.device(),
                                                   .dlatent = device_dlatent.device(),
                                                   .kv = device_kv.device(),
                                                   .rstd = device_rstd.device(),
                                                   .weight = device_weight.device(),
                                                   .position = position.device(),
                                                   .table = table.device(),
                                                   .N = N,
                                                   .R = R,
                                                   .P = P});
      REQUIRE(dkv.values() == expected);
      REQUIRE(has_same_bits(device_dweight.values(), dweight));
    });
  }
}

TEST_CASE("cuda mla latent: the reference is the mathematics within bf16") {
  constexpr int64_t R = 48, P = 8;
  Random random(3);
  const cuda_reference::Rotation rotation = rotation_of(random, 1, P);
  const std::vector<float> kv = random.numbers(R + P), weight = random.numbers(R);
  const auto row = cuda_reference::mla_latent(kv, weight, rotation, R, kEpsilon).y;
  double squares = 0;
  for (size_t d = 0; d < R; ++d) squares += double{kv[d]} * kv[d];
  const double rstd = 1 / std::sqrt(squares / R + double{kEpsilon});
  for (size_t d = 0; d < R; ++d) {
    CHECK(double{from_bf16(row[d])} == doctest::Approx(kv[d] * rstd * weight[d]).epsilon(0.01));
  }
  for (size_t i = 0; i < P; i += 2) {
    const float* angle = &rotation.table[static_cast<size_t>(rotation.position[0]) * P + i];
    const double a = kv[R + i], b = kv[R + i + 1];
    CHECK(std::abs(from_bf16(row[R + i]) - (a * angle[0] - b * angle[1])) < 0.02);
    CHECK(std::abs(from_bf16(row[R + i + 1]) - (a * angle[1] + b * angle[0])) < 0.02);
  }
}

}  // namespace
}  // namespace troupe::tests

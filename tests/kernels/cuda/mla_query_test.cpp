// MLA's query rows and their gradient on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

constexpr int64_t kPositions = 40;

struct Case {
  int64_t N, H, nope, R, P;
};
const Case kCases[] = {
    {0, 3, 8, 16, 4},   {1, 1, 1, 1, 2},    {2, 7, 31, 30, 2},    {1, 8, 32, 33, 62},
    {3, 9, 33, 29, 66}, {2, 17, 5, 64, 64}, {1, 2, 128, 512, 64}, {2, 3, 0, 0, 32},
};

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

TEST_CASE("cuda mla query: the reference's bits from every engine and schedule") {
  for (const auto& [N, H, nope_dim, R, P] : kCases) {
    CAPTURE(N);
    CAPTURE(H);
    CAPTURE(P);
    Random random(static_cast<uint64_t>(H * 100 + P));
    const cuda_reference::Rotation rotation = rotation_of(random, N, P);
    const std::vector<float> q = random.numbers(N * H * (nope_dim + P));
    const cuda_reference::MlaQuery expected =
        cuda_reference::mla_query(q, rotation, H, nope_dim, R);
    on_every_engine(4, [&, N = N, H = H, nope_dim = nope_dim, R = R, P = P] {
      const simt::Array<float> device_q(q), table(rotation.table);
      const simt::Array<int32_t> position(rotation.position);
      const simt::Array<uint16_t> nope(expected.nope.size());
      // The products write the rest of a row, beside this operation.
      const simt::Array<uint16_t> row(std::vector<uint16_t>(expected.row.size(), 0x1234));
      kernels::cuda::mla_query(nullptr, {.nope = nope.stored(),
                                         .row = row.stored(),
                                         .q = device_q.device(),
                                         .position = position.device(),
                                         .table = table.device(),
                                         .N = N,
                                         .H = H,
                                         .nope_dim = nope_dim,
                                         .R = R,
                                         .P = P});
      REQUIRE(nope.values() == expected.nope);
      const std::vector<uint16_t> rows = row.values();
      const int64_t W = kernels::padded(R + P);
      for (size_t i = 0; i < rows.size(); ++i) {
        const bool is_written = static_cast<int64_t>(i) % W >= R;
        REQUIRE(rows[i] == (is_written ? expected.row[i] : 0x1234));
      }
    });
  }
}

TEST_CASE("cuda mla query backward: the reference's bits from every engine and schedule") {
  for (const auto& [N, H, nope_dim, R, P] : kCases) {
    CAPTURE(N);
    CAPTURE(H);
    CAPTURE(P);
    Random random(static_cast<uint64_t>(H * 100 + P + 1));
    const cuda_reference::Rotation rotation = rotation_of(random, N, P);
    const std::vector<float> dnope = random.numbers(N * H * nope_dim);
    const std::vector<float> drow = random.numbers(N * H * kernels::padded(R + P));
    const std::vector<uint16_t> expected =
        cuda_reference::mla_query_backward(dnope, drow, rotation, H, nope_dim, R);
    on_every_engine(4, [&, N = N, H = H, nope_dim = nope_dim, R = R, P = P] {
      const simt::Array<float> device_dnope(dnope), device_drow(drow), table(rotation.table);
      const simt::Array<int32_t> position(rotation.position);
      const simt::Array<uint16_t> dq(expected.size());
      kernels::cuda::mla_query_backward(nullptr, {.dq = dq.stored(),
                                                  .dnope = device_dnope.device(),
                                                  .drow = device_drow.device(),
                                                  .position = position.device(),
                                                  .table = table.device(),
                                                  .N = N,
                                                  .H = H,
                                                  .nope_dim = nope_dim,
                                                  .R = R,
                                                  .P = P});
      REQUIRE(dq.values() == expected);
    });
  }
}

TEST_CASE("cuda mla query: the reference turns by the angle, and its gradient turns back") {
  const int64_t P = 8;
  Random random(3);
  const cuda_reference::Rotation rotation = rotation_of(random, 1, P);
  const std::vector<float> q = random.numbers(P);
  const auto row = cuda_reference::mla_query(q, rotation, 1, 0, 0).row;
  std::vector<float> turned(row.size());
  for (size_t i = 0; i < row.size(); ++i) turned[i] = cuda_reference::from_bf16(row[i]);
  for (size_t i = 0; i < size_t{P}; i += 2) {
    const float* angle = &rotation.table[static_cast<size_t>(rotation.position[0]) * P + i];
    CHECK(turned[i] == doctest::Approx(q[i] * angle[0] - q[i + 1] * angle[1]).epsilon(0.02));
    CHECK(turned[i + 1] == doctest::Approx(q[i] * angle[1] + q[i + 1] * angle[0]).epsilon(0.02));
  }
  const auto back = cuda_reference::mla_query_backward({}, turned, rotation, 1, 0, 0);
  for (size_t i = 0; i < size_t{P}; ++i) {
    CHECK(std::abs(cuda_reference::from_bf16(back[i]) - q[i]) <= 0.03f);
  }
}

}  // namespace
}  // namespace troupe::tests

// Rows of a table by token, and their gradient, on CUDA kernels against the reference.
#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

struct Case {
  int64_t N, D;
  int vocabulary;
};
const Case kCases[] = {{0, 8, 4},   {1, 1, 1},     {5, 3, 3},     {7, 64, 2},
                       {3, 255, 9}, {2, 1024, 20}, {2, 1028, 20}, {2, 1025, 20}};

std::vector<int32_t> tokens(Random& random, const Case& c) {
  std::vector<int32_t> values(static_cast<size_t>(c.N));
  for (int32_t& v : values) v = random.in(0, c.vocabulary - 1);
  return values;
}

TEST_CASE("cuda embedding: rows of the table, on every engine and schedule") {
  for (const Case& c : kCases) {
    CAPTURE(c.N);
    CAPTURE(c.D);
    Random random(static_cast<uint64_t>(c.N * 100 + c.D));
    const std::vector<float> table = random.numbers(c.vocabulary * c.D);
    const std::vector<int32_t> token = tokens(random, c);
    std::vector<float> expected;
    for (const int32_t t : token) {
      expected.insert(expected.end(), table.begin() + t * c.D, table.begin() + (t + 1) * c.D);
    }
    on_every_engine(4, [&] {
      const simt::Array<float> device_table(table), x(expected.size());
      const simt::Array<int32_t> device_token(token);
      kernels::cuda::embedding(nullptr, {.x = x.device(),
                                         .table = device_table.device(),
                                         .token = device_token.device(),
                                         .N = c.N,
                                         .D = c.D});
      REQUIRE(has_same_bits(x.values(), expected));
    });
  }
}

// Sums of numbers of many sizes, so that another order has other bits.
void check_backward(const Case& c, uint64_t schedules) {
  CAPTURE(c.N);
  CAPTURE(c.D);
  Random random(static_cast<uint64_t>(c.N * 100 + c.D + 1));
  const std::vector<float> before = random.numbers(c.vocabulary * c.D);
  std::vector<float> dx = random.numbers(c.N * c.D);
  for (float& v : dx) v *= static_cast<float>(1 << random.in(0, 20));
  const std::vector<int32_t> token = tokens(random, c);
  std::vector<float> expected = before;
  cuda_reference::embedding_backward(expected, dx, token);
  on_every_engine(schedules, [&] {
    const simt::Array<float> dtable(before), device_dx(dx);
    const simt::Array<int32_t> device_token(token);
    kernels::cuda::embedding_backward(nullptr, {.dtable = dtable.device(),
                                                .dx = device_dx.device(),
                                                .token = device_token.device(),
                                                .N = c.N,
                                                .D = c.D});
    REQUIRE(has_same_bits(dtable.values(), expected));
  });
}

TEST_CASE("cuda embedding backward: repeated tokens are added in the order of the batch") {
  for (const Case& c : kCases) check_backward(c, 4);
  // More places than a block looks at in one step.
  for (const int64_t N : {255, 256, 257, 600}) check_backward({N, 2, 5}, 1);
}

}  // namespace
}  // namespace troupe::tests

// The way of rows to their experts on CUDA kernels against the reference.
#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

// K different experts of each token, rising, the last expert never among them.
std::vector<int32_t> chosen(int64_t N, int64_t E, int64_t K) {
  Random random(static_cast<uint64_t>(N * 100 + E));
  std::vector<int32_t> all;
  for (int64_t n = 0; n < N; ++n) {
    std::vector<int32_t> experts;
    while (static_cast<int64_t>(experts.size()) < K) {
      const int32_t e = random.in(0, static_cast<int>(E) - 2);
      if (std::find(experts.begin(), experts.end(), e) == experts.end()) experts.push_back(e);
    }
    std::sort(experts.begin(), experts.end());
    all.insert(all.end(), experts.begin(), experts.end());
  }
  return all;
}

void check(int64_t N, int64_t E, int64_t K, uint64_t schedules) {
  CAPTURE(N);
  CAPTURE(E);
  const std::vector<int32_t> expert = chosen(N, E, K);
  const cuda_reference::Routed expected = cuda_reference::route(expert, E, K);
  std::vector<int64_t> counts(static_cast<size_t>(E), 5);
  for (const int32_t e : expert) ++counts[static_cast<size_t>(e)];
  on_every_engine(schedules, [&] {
    for (const bool counts_rows : {false, true}) {
      const simt::Array<int32_t> offsets(static_cast<size_t>(E + 1)), row_token(expert.size());
      const simt::Array<int32_t> slot_row(expert.size()), device_expert(expert);
      const simt::Array<int64_t> device_counts(std::vector<int64_t>(counts.size(), 5));
      kernels::Route args{.offsets = offsets.device(),
                          .row_token = row_token.device(),
                          .slot_row = slot_row.device(),
                          .expert = device_expert.device(),
                          .N = N,
                          .E = E,
                          .K = K};
      if (counts_rows) args.counts = device_counts.device();
      kernels::cuda::route(nullptr, args);
      REQUIRE(offsets.values() == expected.offsets);
      REQUIRE(row_token.values() == expected.row_token);
      REQUIRE(slot_row.values() == expected.slot_row);
      if (counts_rows) REQUIRE(device_counts.values() == counts);
    }
  });
}

TEST_CASE("cuda route: rows of each expert in the order of tokens, on every engine and schedule") {
  check(0, 4, 2, 1);
  check(1, 2, 1, 4);
  check(7, 5, 3, 32);
  check(85, 33, 3, 4);   // 255 slots.
  check(128, 32, 2, 2);  // 256.
  check(257, 65, 1, 2);
  check(90, 31, 8, 1);
}

TEST_CASE("cuda route: the reference, by hand") {
  const auto routed = cuda_reference::route({0, 2, 2, 3, 0, 3}, 5, 2);
  CHECK(routed.offsets == std::vector<int32_t>{0, 2, 2, 4, 6, 6});
  CHECK(routed.row_token == std::vector<int32_t>{0, 2, 0, 1, 1, 2});
  CHECK(routed.slot_row == std::vector<int32_t>{0, 2, 3, 4, 1, 5});
}

}  // namespace
}  // namespace troupe::tests

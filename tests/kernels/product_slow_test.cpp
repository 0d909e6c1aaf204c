// Every instruction set against the portable product over many more shapes than product_test.cpp
// has time for.
#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "tests/support/on_device.h"

namespace troupe::kernels {
namespace {

using tests::OnDevice;

std::vector<float> products(const Backend& backend, int64_t M, int64_t K, int64_t N) {
  OnDevice device(
      backend, Precision::kBf16,
      {.tokens_max = std::max<int64_t>(640, M), .width_max = std::max({int64_t{640}, K, N})});
  const Stored x = device.send_stored(tests::random_values(M * K, 1));
  const Stored dy = device.send_stored(tests::random_values(M * N, 2));
  const Device<float> y = device.filled(M * N, 0.0f), dw = device.filled(N * K, 0.5f);
  device->gemm(device.stream(), {.y = y,
                                 .x = x,
                                 .w = device.pack(tests::random_values(N * K, 3), N, K),
                                 .M = M,
                                 .ldy = N,
                                 .ldx = K});
  device->weight_gradient(
      device.stream(),
      {.dw = dw, .dy = dy, .x = x, .T = M, .rows = N, .cols = K, .ldw = K, .lddy = N, .ldx = K});
  return tests::joined({device.receive(y, M * N), device.receive(dw, N * K)});
}

TEST_CASE("product: all instruction sets agree for any M, K and N") {
  RandomStream random(1, StreamId::kInit);
  const auto& backends = cpu_backends();
  for (int i = 0; i < 400; ++i) {
    const auto M = static_cast<int64_t>(1 + random.below(200));
    const auto K = static_cast<int64_t>(1 + random.below(200));
    const auto N = static_cast<int64_t>(1 + random.below(200));
    CAPTURE(M);
    CAPTURE(K);
    CAPTURE(N);
    const auto want = products(*backends.back(), M, K, N);
    for (const Backend* backend : backends) tests::require_same(products(*backend, M, K, N), want);
  }
}

TEST_CASE("product: all instruction sets agree for the shapes of layers") {
  const auto& backends = cpu_backends();
  for (int64_t M : {1, 95, 96, 97, 256, 600}) {
    for (int64_t width : {256, 512, 576}) {
      CAPTURE(M);
      CAPTURE(width);
      const auto want = products(*backends.back(), M, width, 352);
      for (const Backend* backend : backends) {
        tests::require_same(products(*backend, M, width, 352), want);
      }
    }
  }
}

TEST_CASE("product: a long inner axis is cut, which changes no bit, for any number of rows") {
  const auto& backends = cpu_backends();
  const std::pair<int64_t, int64_t> shapes[] = {{1537, 33}, {1600, 1041}, {3333, 40}, {40, 30}};
  for (const auto& [K, N] : shapes) {
    for (int64_t M : {1, 13, 100, 1700}) {  // The inner axis of a weight's gradient.
      if (M > 100 && K > 100) continue;
      CAPTURE(M);
      CAPTURE(K);
      CAPTURE(N);
      const auto want = products(*backends.back(), M, K, N);
      for (const Backend* backend : backends) {
        CAPTURE(backend->name);
        tests::require_same(products(*backend, M, K, N), want);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::kernels

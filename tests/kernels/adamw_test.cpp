// The optimizer's step, the sums of its norm, and the other operations on flat tensors.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/on_device.h"

namespace troupe::kernels {
namespace {

using tests::joined;
using tests::OnDevice;
using tests::random_values;
using tests::require_same_everywhere;

TEST_CASE("adamw: ten steps agree with torch's") {
  std::ifstream file(std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/adamw.json");
  const auto golden = nlohmann::json::parse(file);
  const auto initial = golden["initial"].get<std::vector<float>>();
  for (const Backend* backend : cpu_backends()) {
    CAPTURE(backend->name);
    OnDevice device(*backend);
    const auto n = static_cast<int64_t>(initial.size());
    AdamW args{.weight = device.send(initial),
               .m = device.filled(n, 0.0f),
               .v = device.filled(n, 0.0f),
               .n = n,
               .learning_rate = golden["lr"],
               .beta1 = golden["beta1"],
               .beta2 = golden["beta2"],
               .epsilon = golden["eps"],
               .weight_decay = golden["weight_decay"],
               .gradient_scale = 0.25f};
    for (size_t t = 0; t < golden["values"].size(); ++t) {
      CAPTURE(t);
      auto gradient = golden["gradients"][t].get<std::vector<float>>();
      for (float& g : gradient) g *= 4;  // Undone by gradient_scale, exactly.
      args.gradient = device.send(gradient);
      args.correction1 = static_cast<float>(1 - std::pow(0.9, t + 1));
      args.correction2 = static_cast<float>(1 - std::pow(0.95, t + 1));
      device->adamw(device.stream(), args);
      const auto weight = device.receive(args.weight, n);
      const auto want = golden["values"][t].get<std::vector<double>>();
      // Each step moves a weight by about the learning rate, 0.01, to some float roundings of its
      // own size: 2e-7 each.
      for (size_t i = 0; i < want.size(); ++i) REQUIRE(std::fabs(weight[i] - want[i]) < 3e-6);
    }
  }
}

TEST_CASE("adamw: the same bits with every instruction set, and nothing beyond n is touched") {
  require_same_everywhere([](OnDevice& device) {
    constexpr int64_t kCount = 37;
    auto v = random_values(kCount + 3, 3);
    for (float& x : v) x = std::fabs(x);
    AdamW args{.weight = device.send(random_values(kCount + 3, 1)),
               .m = device.send(random_values(kCount + 3, 2)),
               .v = device.send(v),
               .gradient = device.send(random_values(kCount + 3, 4)),
               .n = kCount,
               .learning_rate = 1e-3f,
               .beta1 = 0.9f,
               .beta2 = 0.95f,
               .epsilon = 1e-8f,
               .weight_decay = 0.1f,
               .gradient_scale = 0.5f,
               .correction1 = 0.1f,
               .correction2 = 0.05f};
    device->adamw(device.stream(), args);
    const auto weight = device.receive(args.weight, kCount + 3);
    const auto before = random_values(kCount + 3, 1);
    for (size_t i = kCount; i < weight.size(); ++i) CHECK(weight[i] == before[i]);
    return joined({weight, device.receive(args.m, kCount + 3), device.receive(args.v, kCount + 3)});
  });
}

TEST_CASE("square_sums: one sum per chunk, in double, the same bits everywhere") {
  const int64_t n = 2 * kChunkElements + 37;
  const auto x = random_values(n, 1, 100);
  std::vector<std::vector<double>> results;
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const Device<double> sums = device.filled(4, 7.0);
    device->square_sums(device.stream(), sums, device.send(x), n);
    results.push_back(device.receive(sums, 4));
    CHECK(results.back() == results.front());
  }
  for (int64_t chunk = 0; chunk < 3; ++chunk) {
    long double sum = 0;
    for (int64_t i = chunk * kChunkElements; i < std::min(n, (chunk + 1) * kChunkElements); ++i) {
      sum += static_cast<long double>(x[static_cast<size_t>(i)]) * x[static_cast<size_t>(i)];
    }
    CHECK(results[0][static_cast<size_t>(chunk)] ==
          doctest::Approx(static_cast<double>(sum)).epsilon(1e-13));
  }
  CHECK(results[0][3] == 7.0);
}

TEST_CASE("embedding: rows are copied, and their gradients added up in token order") {
  constexpr int64_t kD = 19;
  const std::vector<int32_t> token = {2, 0, 2, 3};
  require_same_everywhere([&](OnDevice& device) {
    const auto table = random_values(5 * kD, 1), dx = random_values(4 * kD, 2);
    Embedding args{.x = device.filled(4 * kD, 0.0f),
                   .table = device.send(table),
                   .token = device.send(token),
                   .N = 4,
                   .D = kD};
    device->embedding(device.stream(), args);
    const auto x = device.receive(args.x, 4 * kD);
    EmbeddingBackward back{.dtable = device.filled(5 * kD, 0.5f),
                           .dx = device.send(dx),
                           .token = args.token,
                           .N = 4,
                           .D = kD};
    device->embedding_backward(device.stream(), back);
    const auto dtable = device.receive(back.dtable, 5 * kD);
    for (size_t i = 0; i < kD; ++i) {
      CHECK(x[i] == table[2 * kD + i]);
      CHECK(dtable[kD + i] == 0.5f);
      CHECK(dtable[2 * kD + i] == (0.5f + dx[i]) + dx[2 * kD + i]);
    }
    return joined({x, dtable});
  });
}

TEST_CASE("store, round_bf16, add: the same bits everywhere, nothing beyond the width is written") {
  require_same_everywhere([](OnDevice& device) {
    auto x = random_values(3 * 40, 1, 1e3f);
    x[0] = 1e-40f;  // A subnormal stays one where it is only moved.
    const Device<float> from = device.send(x);
    const Stored to = device.filled_stored(3 * 43, 7);
    device->store(device.stream(), to, from, 3, 37, 43, 40);
    const auto stored = device.receive(to, 3 * 43);
    for (size_t row = 0; row < 3; ++row) {
      for (size_t i = 37; i < 43; ++i) CHECK(stored[row * 43 + i] == 7);
      CHECK(stored[row * 43] ==
            (device.precision() == Precision::kFp32 ? x[row * 40] : tests::rounded(x[row * 40])));
    }
    device->add(device.stream(), from, device.send(random_values(120, 2)), 101);
    const auto sum = device.receive(from, 120);
    for (size_t i = 101; i < 120; ++i) CHECK(sum[i] == x[i]);
    device->round_bf16(device.stream(), from, 101);
    const auto halves = device.receive(from, 120);
    for (size_t i = 0; i < 101; ++i) CHECK(halves[i] == tests::rounded(sum[i]));
    for (size_t i = 101; i < 120; ++i) CHECK(halves[i] == x[i]);
    return joined({stored, sum, halves});
  });
}

}  // namespace
}  // namespace troupe::kernels

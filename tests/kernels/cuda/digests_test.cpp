// One number for what an arithmetic gives over many shapes. All engines must have it, and so must a
// GPU: if one of these numbers changes, its arithmetic needs another name.
#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"

namespace troupe::tests {
namespace {

using cuda_reference::TensorCore;

// FNV-1a over bytes (Fowler, Noll, Vo).
class Digest {
 public:
  template <class T>
  void add(const std::vector<T>& values) {
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (size_t i = 0; i < values.size() * sizeof(T); ++i) {
      value_ = (value_ ^ bytes[i]) * 1099511628211u;
    }
  }
  std::string hex() const {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value_));
    return text;
  }

 private:
  uint64_t value_ = 14695981039346656037u;
};

std::string digest_of_products() {
  struct Shape {
    int64_t M, N, K;
  };
  const Shape shapes[] = {{1, 40, 64}, {7, 130, 96}, {16, 16, 32}, {33, 65, 128}, {80, 70, 160}};
  Digest digest;
  Random random(21);
  for (const auto& [M, N, K] : shapes) {
    std::vector<uint16_t> x(static_cast<size_t>(M * K)), w(static_cast<size_t>(N * K));
    for (uint16_t& v : x) v = random.bf16(-9, 4);
    for (uint16_t& v : w) v = random.bf16(-9, 4);
    const simt::Array<uint16_t> device_x(x), device_w(w);
    const simt::Array<float> y(static_cast<size_t>(M * N));
    kernels::cuda::gemm(nullptr, {.y = y.device(),
                                  .x = device_x.stored(),
                                  .w = {device_w.stored().address, N, K},
                                  .M = M,
                                  .ldy = N,
                                  .ldx = K});
    digest.add(y.values());
  }
  return digest.hex();
}

std::string digest_of_norms() {
  Digest digest;
  Random random(22);
  for (const int64_t D : {5, 64, 300, 2048}) {
    constexpr int64_t N = 3;
    std::vector<float> x(static_cast<size_t>(N * D)), weight(static_cast<size_t>(D));
    for (float& v : x) v = random.uniform();
    for (float& v : weight) v = random.uniform();
    const simt::Array<float> device_x(x), device_weight(weight), rstd(N);
    const simt::Array<uint16_t> y(x.size());
    kernels::cuda::rmsnorm(nullptr, {.y = y.stored(),
                                     .rstd = rstd.device(),
                                     .x = device_x.device(),
                                     .weight = device_weight.device(),
                                     .N = N,
                                     .D = D,
                                     .ldx = D,
                                     .ldy = D,
                                     .epsilon = 1e-6f});
    digest.add(y.values());
    digest.add(rstd.values());
  }
  return digest.hex();
}

std::string digest_of_swiglu() {
  constexpr int64_t N = 2, F = 1100;
  Random random(23);
  std::vector<float> gate(N * F), up(N * F);
  for (float& v : gate) v = random.uniform() * 20;
  for (float& v : up) v = random.uniform();
  const simt::Array<float> device_gate(gate), device_up(up);
  const simt::Array<uint16_t> y(gate.size());
  kernels::cuda::swiglu(nullptr, {.y = y.stored(),
                                  .gate = device_gate.device(),
                                  .up = device_up.device(),
                                  .N = N,
                                  .F = F,
                                  .ld = F});
  Digest digest;
  digest.add(y.values());
  return digest.hex();
}

std::string digest_of_queries() {
  constexpr int64_t N = 3, H = 3, kNope = 20, R = 40, P = 12, W = kernels::padded(R + P);
  Random random(24);
  std::vector<float> q(N * H * (kNope + P)), drow(N * H * W), dnope(N * H * kNope), table(4 * P);
  for (auto* values : {&q, &drow, &dnope, &table}) {
    for (float& v : *values) v = random.uniform();
  }
  const simt::Array<float> device_q(q), device_drow(drow), device_dnope(dnope), angles(table);
  const simt::Array<int32_t> position(std::vector<int32_t>{2, 0, 3});
  const simt::Array<uint16_t> nope(dnope.size()), dq(q.size());
  const simt::Array<uint16_t> row(std::vector<uint16_t>(drow.size(), 0));
  kernels::cuda::mla_query(nullptr, {.nope = nope.stored(),
                                     .row = row.stored(),
                                     .q = device_q.device(),
                                     .position = position.device(),
                                     .table = angles.device(),
                                     .N = N,
                                     .H = H,
                                     .nope_dim = kNope,
                                     .R = R,
                                     .P = P});
  kernels::cuda::mla_query_backward(nullptr, {.dq = dq.stored(),
                                              .dnope = device_dnope.device(),
                                              .drow = device_drow.device(),
                                              .position = position.device(),
                                              .table = angles.device(),
                                              .N = N,
                                              .H = H,
                                              .nope_dim = kNope,
                                              .R = R,
                                              .P = P});
  Digest digest;
  digest.add(nope.values());
  digest.add(row.values());
  digest.add(dq.values());
  return digest.hex();
}

TEST_CASE("cuda: an arithmetic has the same digest on every engine") {
  for (const Engine& engine : engines()) {
    use(engine, 7);
    const std::string products = digest_of_products(), norms = digest_of_norms();
    const std::string swiglu = digest_of_swiglu(), queries = digest_of_queries();
    MESSAGE(engine.name << ": products " << products << ", norms " << norms << ", swiglu " << swiglu
                        << ", queries " << queries);
    CHECK(products ==
          (engine.tensor_core == TensorCore::kSm90 ? "1832a11246775a1c" : "0d44afa607f06562"));
    CHECK(queries == "1a4d3776daa1eeab");
    CHECK(swiglu == "8afd9ca3d948e778");
    CHECK(norms == "13dfaa294e5980fd");
    CHECK(text_of(simt::take_problems()) == "");
  }
}

}  // namespace
}  // namespace troupe::tests

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

std::string digest_of_norm_gradients() {
  Digest digest;
  Random random(25);
  for (const int64_t D : {5, 300, 1030}) {
    constexpr int64_t N = 19;
    const size_t size = static_cast<size_t>(N * D), width = static_cast<size_t>(D);
    std::vector<float> x(size), dy(size), dx(size), weight(width), dweight(width), rstd(N);
    for (auto* values : {&x, &dy, &dx, &weight, &dweight, &rstd}) {
      for (float& v : *values) v = random.uniform();
    }
    const simt::Array<float> device_x(x), device_dy(dy), device_dx(dx), device_weight(weight);
    const simt::Array<float> device_dweight(dweight), device_rstd(rstd);
    kernels::cuda::rmsnorm_backward(nullptr, {.dx = device_dx.device(),
                                              .dweight = device_dweight.device(),
                                              .dy = device_dy.device(),
                                              .x = device_x.device(),
                                              .rstd = device_rstd.device(),
                                              .weight = device_weight.device(),
                                              .N = N,
                                              .D = D,
                                              .ldx = D,
                                              .lddy = D});
    digest.add(device_dx.values());
    digest.add(device_dweight.values());
  }
  return digest.hex();
}

std::string digest_of_swiglu_gradients() {
  constexpr int64_t N = 2, F = 1100;
  Random random(26);
  std::vector<float> gate(N * F), up(N * F), da(N * F), weight(N);
  for (float& v : gate) v = random.uniform() * 20;
  for (auto* values : {&up, &da, &weight}) {
    for (float& v : *values) v = random.uniform();
  }
  const simt::Array<float> device_gate(gate), device_up(up), device_da(da), device_weight(weight);
  const simt::Array<float> dweight(N);
  const simt::Array<int32_t> slot_row(std::vector<int32_t>{1, 0});
  const simt::Array<uint16_t> dgate(N * F), dup(N * F), weighted(N * F);
  kernels::cuda::swiglu_backward(nullptr, {.dgate = dgate.stored(),
                                           .dup = dup.stored(),
                                           .weighted = weighted.stored(),
                                           .dweight = dweight.device(),
                                           .da = device_da.device(),
                                           .gate = device_gate.device(),
                                           .up = device_up.device(),
                                           .weight = device_weight.device(),
                                           .slot_row = slot_row.device(),
                                           .N = N,
                                           .F = F,
                                           .ld = F,
                                           .num_slots = N});
  Digest digest;
  for (const auto* values : {&dgate, &dup, &weighted}) digest.add(values->values());
  digest.add(dweight.values());
  return digest.hex();
}

std::string digest_of_embedding() {
  constexpr int64_t N = 9, D = 70, V = 4;
  Random random(27);
  std::vector<float> table(V * D), dx(N * D);
  std::vector<int32_t> tokens(N);
  for (float& v : table) v = random.uniform();
  for (float& v : dx) v = random.uniform();
  for (int32_t& t : tokens) t = random.in(0, V - 1);
  const simt::Array<float> device_table(table), x(N * D), device_dx(dx);
  const simt::Array<int32_t> token(tokens);
  kernels::cuda::embedding(
      nullptr,
      {.x = x.device(), .table = device_table.device(), .token = token.device(), .N = N, .D = D});
  kernels::cuda::embedding_backward(nullptr, {.dtable = device_table.device(),
                                              .dx = device_dx.device(),
                                              .token = token.device(),
                                              .N = N,
                                              .D = D});
  Digest digest;
  digest.add(x.values());
  digest.add(device_table.values());
  return digest.hex();
}

std::string digest_of_adamw() {
  constexpr int64_t n = 700;
  Random random(28);
  std::vector<float> weight(n), m(n), v(n), gradient(n);
  for (auto* values : {&weight, &m, &gradient}) {
    for (float& x : *values) x = random.uniform();
  }
  for (float& x : v) x = random.uniform() + 2;
  const simt::Array<float> device_weight(weight), device_m(m), device_v(v);
  const simt::Array<float> device_gradient(gradient);
  kernels::cuda::adamw(nullptr, {.weight = device_weight.device(),
                                 .m = device_m.device(),
                                 .v = device_v.device(),
                                 .gradient = device_gradient.device(),
                                 .n = n,
                                 .learning_rate = 0.01f,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.95f,
                                 .epsilon = 1e-8f,
                                 .weight_decay = 0.1f,
                                 .gradient_scale = 0.75f,
                                 .correction1 = 0.1f,
                                 .correction2 = 0.05f});
  Digest digest;
  for (const auto* values : {&device_weight, &device_m, &device_v}) digest.add(values->values());
  return digest.hex();
}

std::string digest_of_gates() {
  constexpr int64_t N = 3, E = 96, K = 6;
  Digest digest;
  Random random(29);
  for (const bool is_softmax : {false, true}) {
    std::vector<float> logit(N * E), bias(E);
    for (float& v : logit) v = random.uniform();
    for (float& v : bias) v = random.uniform() / 4;
    const simt::Array<float> device_logit(logit), device_bias(bias), score(N * E), weight(N * K);
    const simt::Array<int32_t> expert(N * K);
    kernels::cuda::gate(nullptr, {.expert = expert.device(),
                                  .weight = weight.device(),
                                  .score = score.device(),
                                  .logit = device_logit.device(),
                                  .bias = device_bias.device(),
                                  .N = N,
                                  .E = E,
                                  .K = K,
                                  .num_groups = 8,
                                  .groups_kept = 3,
                                  .is_softmax = is_softmax,
                                  .scaling = 2.5f});
    digest.add(expert.values());
    digest.add(weight.values());
    digest.add(score.values());
  }
  return digest.hex();
}

std::string digest_of_experts() {
  constexpr int64_t N = 9, E = 5, K = 2, D = 40, F = 24;
  Random random(30);
  std::vector<int32_t> experts;
  for (int64_t n = 0; n < N; ++n) {
    experts.push_back(random.in(0, 1));
    experts.push_back(random.in(2, 4));
  }
  const std::vector<float> w_gate = random.numbers(E * F * D), w_down = random.numbers(E * D * F);
  std::vector<uint16_t> x(N * D);
  for (uint16_t& v : x) v = random.bf16(-6, 2);
  const std::vector<float> weights = random.numbers(N * K), before = random.numbers(N * D);
  const simt::Array<int32_t> expert(experts), offsets(E + 1), row_token(N * K), slot_row(N * K);
  kernels::cuda::route(nullptr, {.offsets = offsets.device(),
                                 .row_token = row_token.device(),
                                 .slot_row = slot_row.device(),
                                 .expert = expert.device(),
                                 .N = N,
                                 .E = E,
                                 .K = K});
  const int64_t gate_bytes = kernels::cuda::packed_bytes(F, D);
  const int64_t down_bytes = kernels::cuda::packed_bytes(D, F);
  const simt::Array<uint16_t> gate(static_cast<size_t>(E * gate_bytes / 2));
  const simt::Array<uint16_t> down(static_cast<size_t>(E * down_bytes / 2));
  const simt::Array<float> device_gate(w_gate), device_down(w_down);
  for (int64_t e = 0; e < E; ++e) {
    kernels::cuda::pack(
        nullptr, {.to = {gate.stored().address + static_cast<uint64_t>(e * gate_bytes), F, D},
                  .from = device_gate.device() + e * F * D,
                  .ld = D});
    kernels::cuda::pack(
        nullptr, {.to = {down.stored().address + static_cast<uint64_t>(e * down_bytes), D, F},
                  .from = device_down.device() + e * D * F,
                  .ld = D,
                  .is_transposed = true});
  }
  const simt::Array<uint16_t> device_x(x), inner(N * K * F);
  const simt::Array<float> weight(weights), out(before), scratch(N * K * 64);
  kernels::cuda::grouped_gemm(nullptr, {.gemm = {.y_stored = inner.stored(),
                                                 .x = device_x.stored(),
                                                 .w = {gate.stored().address, F, D},
                                                 .M = N * K,
                                                 .ldy = F,
                                                 .ldx = D,
                                                 .x_rows = row_token.device()},
                                        .w_stride_bytes = gate_bytes,
                                        .num_groups = E,
                                        .offsets = offsets.device()});
  kernels::cuda::combine_experts(nullptr,
                                 {.out = out.device(),
                                  .x = inner.stored(),
                                  .w = {down.stored().address, D, F},
                                  .w_stride_bytes = down_bytes,
                                  .weight = weight.device(),
                                  .slot_row = slot_row.device(),
                                  .offsets = offsets.device(),
                                  .N = N,
                                  .K = K,
                                  .D = D,
                                  .E = E,
                                  .F = F},
                                 {.floats = scratch.device(), .size = N * K * 64});
  Digest digest;
  digest.add(row_token.values());
  digest.add(slot_row.values());
  digest.add(inner.values());
  digest.add(out.values());
  return digest.hex();
}

std::string digest_of_weight_gradients() {
  constexpr int64_t T = 50, rows = 40, cols = 72;
  Random random(31);
  std::vector<uint16_t> dy(T * rows), x(T * cols);
  for (uint16_t& v : dy) v = random.bf16(-9, 4);
  for (uint16_t& v : x) v = random.bf16(-9, 4);
  const simt::Array<uint16_t> device_dy(dy), device_x(x);
  const simt::Array<float> dw(random.numbers(rows * cols));
  kernels::cuda::weight_gradient(nullptr, {.dw = dw.device(),
                                           .dy = device_dy.stored(),
                                           .x = device_x.stored(),
                                           .T = T,
                                           .rows = rows,
                                           .cols = cols,
                                           .ldw = cols,
                                           .lddy = rows,
                                           .ldx = cols});
  Digest digest;
  digest.add(dw.values());
  return digest.hex();
}

std::string digest_of_sums() {
  constexpr int64_t n = kernels::kChunkElements + 300, N = 40, width = 37;
  Random random(32);
  const simt::Array<float> x(random.numbers(n)), dbias(random.numbers(width));
  const simt::Array<double> sums(2);
  kernels::cuda::square_sums(nullptr, {.sums = sums.device(), .x = x.device(), .n = n});
  std::vector<uint16_t> rows(N * width);
  for (uint16_t& v : rows) v = random.bf16(-9, 4);
  const simt::Array<uint16_t> dy(rows);
  kernels::cuda::bias_gradient(nullptr,
                               {.dbias = dbias.device(), .dy = dy.stored(), .N = N, .n = width});
  Digest digest;
  digest.add(sums.values());
  digest.add(dbias.values());
  return digest.hex();
}

std::string digest_of_gate_gradients() {
  constexpr int64_t N = 3, E = 40, K = 4;
  Digest digest;
  Random random(33);
  for (const bool is_softmax : {false, true}) {
    std::vector<float> scores(N * E);
    for (float& v : scores) v = (random.uniform() + 2.5f) / 5;
    std::vector<int32_t> experts;
    for (int64_t n = 0; n < N; ++n) experts.insert(experts.end(), {1, 7, 20, 39});
    const simt::Array<float> score(scores), dweight(random.numbers(N * K));
    const simt::Array<int32_t> expert(experts);
    const simt::Array<uint16_t> dlogit(N * E);
    kernels::cuda::gate_backward(nullptr, {.dlogit = dlogit.stored(),
                                           .dweight = dweight.device(),
                                           .expert = expert.device(),
                                           .score = score.device(),
                                           .N = N,
                                           .E = E,
                                           .K = K,
                                           .is_softmax = is_softmax,
                                           .scaling = 2.5f});
    digest.add(dlogit.values());
  }
  return digest.hex();
}

TEST_CASE("cuda: an arithmetic has the same digest on every engine") {
  struct Operation {
    const char* name;
    std::string (*digest)();
    std::string expected;
    std::string expected_sm80 = expected;
  };
  const Operation operations[] = {
      {"adamw", digest_of_adamw, "45ae0fcded8b319e"},
      {"embedding", digest_of_embedding, "80293a808889e12e"},
      {"experts", digest_of_experts, "9081e99029a70047", "5bc40d8e3cbf23d6"},
      {"gate gradients", digest_of_gate_gradients, "1875e47904304c3c"},
      {"sums", digest_of_sums, "632ff59bfc7af8da"},
      {"weight gradients", digest_of_weight_gradients, "87e4d7e177153f61", "cf432b55e3d2863f"},
      {"gates", digest_of_gates, "4e81dc13f7f69bcb"},
      {"norms", digest_of_norms, "13dfaa294e5980fd"},
      {"norm gradients", digest_of_norm_gradients, "2d92436f5b060c96"},
      {"queries", digest_of_queries, "1a4d3776daa1eeab"},
      {"swiglu", digest_of_swiglu, "8afd9ca3d948e778"},
      {"swiglu gradients", digest_of_swiglu_gradients, "00acd8db04e01dc2"},
  };
  for (const Engine& engine : engines()) {
    use(engine, 7);
    CAPTURE(engine.name);
    const std::string products = digest_of_products();
    std::string text = engine.name + ": products " + products;
    CHECK(products ==
          (engine.tensor_core == TensorCore::kSm90 ? "1832a11246775a1c" : "0d44afa607f06562"));
    for (const Operation& operation : operations) {
      const std::string digest = operation.digest();
      text += std::string(", ") + operation.name + " " + digest;
      CHECK(digest == (engine.tensor_core == TensorCore::kSm90 ? operation.expected
                                                               : operation.expected_sm80));
    }
    MESSAGE(text);
    CHECK(text_of(simt::take_problems()) == "");
  }
}

}  // namespace
}  // namespace troupe::tests

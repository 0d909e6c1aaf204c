// Products, experts, norms and steps of the CUDA backend against the CPU's.
#include "kernels/device_backend.h"
#include "tests/model/cuda/as_the_cpu.h"

namespace troupe::tests {
namespace {

TEST_CASE("cuda operations: all are there") {
  const Status whole = kernels::check(cuda_emulated());
  CHECK_MESSAGE(whole, (whole ? "" : whole.error().message));
}

TEST_CASE("cuda operations: products and what is added to them, as the CPU has them") {
  constexpr int64_t M = 33, N = 40, K = 72;
  check("gemm", kFloat, [](OnDevice& d) {
    const auto y = d.send(random_values(M * N, 1));
    d->gemm(d.stream(), {.y = y,
                         .x = d.send_stored(random_values(M * K, 2)),
                         .w = d.pack(random_values(N * K, 3), N, K, true),
                         .M = M,
                         .ldy = N,
                         .ldx = K,
                         .accumulates = true});
    return d.receive(y, M * N);
  });
  check("weight_gradient", kFloat, [](OnDevice& d) {
    const auto dw = d.send(random_values(N * K, 1));
    d->weight_gradient(d.stream(), {.dw = dw,
                                    .dy = d.send_stored(random_values(M * N, 2)),
                                    .x = d.send_stored(random_values(M * K, 3)),
                                    .T = M,
                                    .rows = N,
                                    .cols = K,
                                    .ldw = K,
                                    .lddy = N,
                                    .ldx = K});
    return d.receive(dw, N * K);
  });
  check("store", kStored, [](OnDevice& d) {
    const auto to = d.filled_stored(M * N, 0);
    d->store(d.stream(), to, d.send(random_values(M * N, 1)), M, N, N, N);
    return d.receive(to, M * N);
  });
  check("round_bf16", 0, [](OnDevice& d) {
    const auto x = d.send(random_values(M * N, 1));
    d->round_bf16(d.stream(), x, M * N);
    return d.receive(x, M * N);
  });
  check("add", 0, [](OnDevice& d) {
    const auto y = d.send(random_values(M * N, 1));
    d->add(d.stream(), y, d.send(random_values(M * N, 2)), M * N);
    return d.receive(y, M * N);
  });
  check("square_sums", 1e-7, [](OnDevice& d) {
    constexpr int64_t n = kernels::kChunkElements + 77;
    const auto sums = d.filled<double>(2, 0);
    d->square_sums(d.stream(), sums, d.send(random_values(n, 1)), n);
    const std::vector<double> got = d.receive(sums, 2);
    return std::vector<float>(got.begin(), got.end());
  });
  check("add_bias", 0, [](OnDevice& d) {
    const auto y = d.send(random_values(M * N, 1));
    d->add_bias(d.stream(), {.y = y, .bias = d.send(random_values(N, 2)), .N = M, .n = N});
    return d.receive(y, M * N);
  });
  check("bias_gradient", kFloat, [](OnDevice& d) {
    const auto dbias = d.send(random_values(N, 1));
    d->bias_gradient(
        d.stream(), {.dbias = dbias, .dy = d.send_stored(random_values(M * N, 2)), .N = M, .n = N});
    return d.receive(dbias, N);
  });
}

// Three of eight experts for each of 24 tokens; none chooses the last.
struct Experts {
  static constexpr int64_t N = 24, E = 8, K = 3, D = 40, F = 24;
  kernels::Device<int32_t> expert, offsets, row_token, slot_row;
  kernels::Device<int64_t> counts;

  explicit Experts(OnDevice& d)
      : expert(d.send(chosen())),
        offsets(d.filled<int32_t>(E + 1, -1)),
        row_token(d.filled<int32_t>(N * K, -1)),
        slot_row(d.filled<int32_t>(N * K, -1)),
        counts(d.filled<int64_t>(E, 3)) {
    d->route(d.stream(), {.offsets = offsets,
                          .row_token = row_token,
                          .slot_row = slot_row,
                          .counts = counts,
                          .expert = expert,
                          .N = N,
                          .E = E,
                          .K = K});
  }
  static std::vector<int32_t> chosen() {
    std::vector<int32_t> all;
    for (int32_t n = 0; n < N; ++n) {
      for (int32_t k = 0; k < K; ++k) all.push_back(n * n % (E - K) + k);
    }
    return all;
  }
  // Weights (rows, cols) of all experts, one after another.
  static kernels::Packed weights(OnDevice& d, int64_t rows, int64_t cols, uint64_t seed) {
    const auto values = d.send(random_values(E * rows * cols, seed));
    const int64_t bytes = d->packed_bytes(d.precision(), rows, cols);
    const kernels::Packed first{d.reserve(E * bytes), rows, cols};
    for (int64_t e = 0; e < E; ++e) {
      kernels::Packed one = first;
      one.address += static_cast<uint64_t>(e * bytes);
      d->pack(d.stream(), one, values + e * rows * cols, cols, false);
    }
    return first;
  }
};

TEST_CASE("cuda operations: experts, as the CPU has them") {
  using X = Experts;
  check("route", 0, [](OnDevice& d) {
    const X x(d);
    const std::vector<int64_t> counts = d.receive(x.counts, X::E);
    return joined({as_floats(d.receive(x.offsets, X::E + 1)),
                   as_floats(d.receive(x.row_token, X::N * X::K)),
                   as_floats(d.receive(x.slot_row, X::N * X::K)),
                   std::vector<float>(counts.begin(), counts.end())});
  });
  check("grouped_gemm", kFloat, [](OnDevice& d) {
    const X x(d);
    const auto y = d.filled<float>(X::N * X::K * X::F, 0);
    d->grouped_gemm(d.stream(), {.gemm = {.y = y,
                                          .x = d.send_stored(random_values(X::N * X::D, 1)),
                                          .w = X::weights(d, X::F, X::D, 2),
                                          .M = X::N * X::K,
                                          .ldy = X::F,
                                          .ldx = X::D,
                                          .x_rows = x.row_token},
                                 .w_stride_bytes = d->packed_bytes(d.precision(), X::F, X::D),
                                 .num_groups = X::E,
                                 .offsets = x.offsets});
    return d.receive(y, X::N * X::K * X::F);
  });
  check("grouped_weight_gradient", kFloat, [](OnDevice& d) {
    const X x(d);
    const auto dw = d.send(random_values(X::E * X::D * X::F, 1));
    d->grouped_weight_gradient(
        d.stream(), {.gradient = {.dw = dw,
                                  .dy = d.send_stored(random_values(X::N * X::D, 2)),
                                  .x = d.send_stored(random_values(X::N * X::K * X::F, 3)),
                                  .T = X::N * X::K,
                                  .rows = X::D,
                                  .cols = X::F,
                                  .ldw = X::F,
                                  .lddy = X::D,
                                  .ldx = X::F,
                                  .dy_rows = x.row_token},
                     .num_groups = X::E,
                     .dw_stride = X::D * X::F,
                     .offsets = x.offsets});
    return d.receive(dw, X::E * X::D * X::F);
  });
  check("combine_experts", kFloat, [](OnDevice& d) {
    const X x(d);
    const auto out = d.send(random_values(X::N * X::D, 1));
    d->combine_experts(d.stream(), {.out = out,
                                    .x = d.send_stored(random_values(X::N * X::K * X::F, 2)),
                                    .x2 = d.send_stored(random_values(X::N * X::K * X::F, 3)),
                                    .w = X::weights(d, X::D, X::F, 4),
                                    .w2 = X::weights(d, X::D, X::F, 5),
                                    .w_stride_bytes = d->packed_bytes(d.precision(), X::D, X::F),
                                    .weight = d.send(random_values(X::N * X::K, 6)),
                                    .slot_row = x.slot_row,
                                    .offsets = x.offsets,
                                    .N = X::N,
                                    .K = X::K,
                                    .D = X::D,
                                    .E = X::E,
                                    .F = X::F});
    return d.receive(out, X::N * X::D);
  });
  for (const bool is_softmax : {false, true}) {
    for (const bool normalises : {false, true}) {
      CAPTURE(is_softmax);
      CAPTURE(normalises);
      check("gate and its gradient", kStored, [&](OnDevice& d) {
        const auto expert = d.filled<int32_t>(X::N * X::K, -1);
        const auto weight = d.filled<float>(X::N * X::K, 0),
                   score = d.filled<float>(X::N * X::E, 0);
        const auto dlogit = d.filled_stored(X::N * X::E, 1);
        d->gate(d.stream(), {.expert = expert,
                             .weight = weight,
                             .score = score,
                             .logit = d.send(random_values(X::N * X::E, 1, 3)),
                             .N = X::N,
                             .E = X::E,
                             .K = X::K,
                             .is_softmax = is_softmax,
                             .normalises = normalises,
                             .scaling = 2.5f});
        d->gate_backward(d.stream(), {.dlogit = dlogit,
                                      .dweight = d.send(random_values(X::N * X::K, 2)),
                                      .expert = expert,
                                      .score = score,
                                      .N = X::N,
                                      .E = X::E,
                                      .K = X::K,
                                      .is_softmax = is_softmax,
                                      .normalises = normalises,
                                      .scaling = 2.5f});
        return joined({as_floats(d.receive(expert, X::N * X::K)), d.receive(weight, X::N * X::K),
                       d.receive(dlogit, X::N * X::E)});
      });
    }
  }
}

TEST_CASE("cuda operations: norms, units, embeddings and a step, as the CPU has them") {
  constexpr int64_t N = 9, D = 70;
  check("rmsnorm and its gradient", kStored, [](OnDevice& d) {
    const auto y = d.filled_stored(N * D, 0);
    const auto rstd = d.filled<float>(N, 0), x = d.send(random_values(N * D, 1));
    const auto weight = d.send(random_values(D, 2)), dx = d.send(random_values(N * D, 3));
    const auto dweight = d.send(random_values(D, 4));
    d->rmsnorm(d.stream(), {.y = y,
                            .rstd = rstd,
                            .x = x,
                            .weight = weight,
                            .N = N,
                            .D = D,
                            .ldx = D,
                            .ldy = D,
                            .epsilon = 1e-6f});
    d->rmsnorm_backward(d.stream(), {.dx = dx,
                                     .dweight = dweight,
                                     .dy = d.send(random_values(N * D, 5)),
                                     .x = x,
                                     .rstd = rstd,
                                     .weight = weight,
                                     .N = N,
                                     .D = D,
                                     .ldx = D,
                                     .lddy = D});
    return joined({d.receive(y, N * D), d.receive(dx, N * D), d.receive(dweight, D)});
  });
  check("swiglu and its gradient", kStored, [](OnDevice& d) {
    const auto y = d.filled_stored(N * D, 0), dgate = d.filled_stored(N * D, 0);
    const auto dup = d.filled_stored(N * D, 0);
    const auto gate = d.send(random_values(N * D, 1, 4)), up = d.send(random_values(N * D, 2));
    d->swiglu(d.stream(), {.y = y, .gate = gate, .up = up, .N = N, .F = D, .ld = D});
    d->swiglu_backward(d.stream(), {.dgate = dgate,
                                    .dup = dup,
                                    .da = d.send(random_values(N * D, 3)),
                                    .gate = gate,
                                    .up = up,
                                    .N = N,
                                    .F = D,
                                    .ld = D});
    return joined({d.receive(y, N * D), d.receive(dgate, N * D), d.receive(dup, N * D)});
  });
  check("embedding and its gradient", kFloat, [](OnDevice& d) {
    const auto token = d.send(std::vector<int32_t>{3, 0, 3, 1, 1, 3, 2, 0, 3});
    const auto x = d.filled<float>(N * D, 0), dtable = d.send(random_values(4 * D, 1));
    d->embedding(
        d.stream(),
        {.x = x, .table = d.send(random_values(4 * D, 2)), .token = token, .N = N, .D = D});
    d->embedding_backward(
        d.stream(),
        {.dtable = dtable, .dx = d.send(random_values(N * D, 3)), .token = token, .N = N, .D = D});
    return joined({d.receive(x, N * D), d.receive(dtable, 4 * D)});
  });
  check("adamw", kFloat, [](OnDevice& d) {
    const auto weight = d.send(random_values(N * D, 1)), m = d.send(random_values(N * D, 2));
    const auto v = d.filled<float>(N * D, 0.3f);
    d->adamw(d.stream(), {.weight = weight,
                          .m = m,
                          .v = v,
                          .gradient = d.send(random_values(N * D, 3)),
                          .n = N * D,
                          .learning_rate = 0.01f,
                          .beta1 = 0.9f,
                          .beta2 = 0.95f,
                          .epsilon = 1e-8f,
                          .weight_decay = 0.1f,
                          .gradient_scale = 0.5f,
                          .correction1 = 0.1f,
                          .correction2 = 0.05f});
    return joined({d.receive(weight, N * D), d.receive(m, N * D), d.receive(v, N * D)});
  });
}

}  // namespace
}  // namespace troupe::tests

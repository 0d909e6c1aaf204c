// What is wrong with a kernel is found, and named; what is right gives no alarm. In one file,
// because the list of planted faults is read beside what shows them.
#include <algorithm>
#include <functional>
#include <set>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/kernels/cuda/faults.h"
#include "tests/support/cuda_reference/operations.h"

// planted.cmake makes them.
#define TROUPE_PLANTED(name, operation, Args)            \
  namespace name {                                       \
  void operation(StreamHandle stream, const Args& args); \
  }
namespace troupe::kernels::cuda {
TROUPE_PLANTED(norm_without_barrier, rmsnorm, RmsNorm)
TROUPE_PLANTED(norm_past_its_partials, rmsnorm, RmsNorm)
TROUPE_PLANTED(norm_shuffle_of_some, rmsnorm, RmsNorm)
TROUPE_PLANTED(norm_two_barriers, rmsnorm, RmsNorm)
TROUPE_PLANTED(norm_past_the_row, rmsnorm, RmsNorm)
TROUPE_PLANTED(norm_one_row, rmsnorm, RmsNorm)
TROUPE_PLANTED(product_without_wait, gemm, Gemm)
TROUPE_PLANTED(product_waits_for_too_few, gemm, Gemm)
TROUPE_PLANTED(product_without_barrier, gemm, Gemm)
TROUPE_PLANTED(product_wrong_stage, gemm, Gemm)
TROUPE_PLANTED(product_without_tail, gemm, Gemm)
TROUPE_PLANTED(product_writes_too_much, gemm, Gemm)
TROUPE_PLANTED(product_misaligned, gemm, Gemm)
TROUPE_PLANTED(query_without_heads, mla_query, MlaQuery)
TROUPE_PLANTED(query_too_wide, mla_query, MlaQuery)
TROUPE_PLANTED(query_gradient_of_the_next, mla_query_backward, MlaQueryBackward)
TROUPE_PLANTED(latent_one_slot, mla_latent, MlaLatent)
TROUPE_PLANTED(latent_past_the_row, mla_latent, MlaLatent)
TROUPE_PLANTED(latent_gradient_of_the_padding, mla_latent_backward, MlaLatentBackward)
TROUPE_PLANTED(latent_gradient_past_its_columns, mla_latent_backward, MlaLatentBackward)
TROUPE_PLANTED(heads_past_the_last, head_rows, HeadRows)
TROUPE_PLANTED(heads_in_one_row, head_rows, HeadRows)
TROUPE_PLANTED(heads_gradient_of_the_next, head_rows_backward, HeadRowsBackward)
TROUPE_PLANTED(heads_gradient_past_its_columns, head_rows_backward, HeadRowsBackward)
TROUPE_PLANTED(attention_without_barrier, attention, Attention)
TROUPE_PLANTED(attention_without_second_barrier, attention, Attention)
TROUPE_PLANTED(attention_without_last_barrier, attention, Attention)
TROUPE_PLANTED(attention_past_the_context, attention, Attention)
TROUPE_PLANTED(attention_in_one_row, attention, Attention)
TROUPE_PLANTED(logprob_one_set_of_partials, token_logprob, TokenLogprob)
TROUPE_PLANTED(logprob_one_row, token_logprob, TokenLogprob)
TROUPE_PLANTED(logprob_gradient_past_the_row, token_logprob_backward, TokenLogprobBackward)
TROUPE_PLANTED(sample_without_barrier, sample, Sample)
TROUPE_PLANTED(sample_past_the_row, sample, Sample)
TROUPE_PLANTED(sample_one_token, sample, Sample)
TROUPE_PLANTED(swiglu_past_the_row, swiglu, Swiglu)
// Its gradient has memory of its caller, too.
#define TROUPE_PLANTED_GRADIENT(name)                                                              \
  namespace name {                                                                                 \
  void attention_backward(StreamHandle stream, const AttentionBackward& args, Device<float> dots); \
  }
TROUPE_PLANTED_GRADIENT(attention_gradient_without_barrier)
TROUPE_PLANTED_GRADIENT(attention_gradient_in_place)
TROUPE_PLANTED_GRADIENT(attention_gradient_past_the_sequence)
TROUPE_PLANTED_GRADIENT(attention_gradient_one_dot)
TROUPE_PLANTED(swiglu_gradient_past_the_row, swiglu_backward, SwigluBackward)
TROUPE_PLANTED(swiglu_gradient_one_sum, swiglu_backward, SwigluBackward)
TROUPE_PLANTED(norm_gradient_one_row, rmsnorm_backward, RmsNormBackward)
TROUPE_PLANTED(norm_gradient_without_barrier, rmsnorm_backward, RmsNormBackward)
TROUPE_PLANTED(norm_gradient_past_its_columns, rmsnorm_backward, RmsNormBackward)
TROUPE_PLANTED(embedding_past_the_row, embedding, Embedding)
TROUPE_PLANTED(embedding_gradient_by_all, embedding_backward, EmbeddingBackward)
TROUPE_PLANTED(embedding_gradient_without_barrier, embedding_backward, EmbeddingBackward)
TROUPE_PLANTED(embedding_gradient_one_set, embedding_backward, EmbeddingBackward)
TROUPE_PLANTED(adamw_past_the_end, adamw, AdamW)
TROUPE_PLANTED(gate_without_barrier, gate, Gate)
TROUPE_PLANTED(gate_past_its_experts, gate, Gate)
TROUPE_PLANTED(gate_return_before_a_shuffle, gate, Gate)
TROUPE_PLANTED(gate_one_row, gate, Gate)
TROUPE_PLANTED(store_past_the_row, store, Store)
TROUPE_PLANTED(round_past_the_end, round_bf16, RoundBf16)
TROUPE_PLANTED(pack_past_the_source, pack, Pack)
TROUPE_PLANTED(pack_without_barrier, pack, Pack)
TROUPE_PLANTED(add_past_the_end, add, Add)
TROUPE_PLANTED(square_sums_without_barrier, square_sums, SquareSums)
TROUPE_PLANTED(square_sums_one_chunk, square_sums, SquareSums)
TROUPE_PLANTED(bias_one_row, add_bias, AddBias)
TROUPE_PLANTED(bias_gradient_past_its_columns, bias_gradient, BiasGradient)
TROUPE_PLANTED(bias_gradient_without_barrier, bias_gradient, BiasGradient)
TROUPE_PLANTED(gate_gradient_without_barrier, gate_backward, GateBackward)
TROUPE_PLANTED(gate_gradient_one_row, gate_backward, GateBackward)
TROUPE_PLANTED(route_without_barrier, route, Route)
TROUPE_PLANTED(route_one_set, route, Route)
TROUPE_PLANTED(route_past_its_experts, route, Route)
TROUPE_PLANTED(groups_past_the_last, grouped_gemm, GroupedGemm)
TROUPE_PLANTED(groups_without_their_end, grouped_gemm, GroupedGemm)
TROUPE_PLANTED(weight_gradient_without_wait, weight_gradient, WeightGradient)
TROUPE_PLANTED(weight_gradient_without_barrier, weight_gradient, WeightGradient)
TROUPE_PLANTED(weight_gradient_past_the_rows, weight_gradient, WeightGradient)
TROUPE_PLANTED(weight_gradient_past_the_columns, weight_gradient, WeightGradient)
TROUPE_PLANTED(weight_gradient_one_group, grouped_weight_gradient, GroupedWeightGradient)
#undef TROUPE_PLANTED
#define TROUPE_PLANTED(name)                                                        \
  namespace name {                                                                  \
  void combine_experts(StreamHandle stream, const CombineExperts&, const Scratch&); \
  }
TROUPE_PLANTED(combine_past_its_columns)
TROUPE_PLANTED(combine_one_row)
TROUPE_PLANTED(combine_rows_of_the_next)
}  // namespace troupe::kernels::cuda

namespace troupe::tests {
namespace {

using simt::Problem;
using simt::ProblemKind;

std::vector<Problem> problems_of(const Fault& fault, uint64_t seed) {
  const std::vector<float> host(256, 1);
  use(engines().front(), seed);
  const simt::Array<float> y(256), x(std::vector<float>(256, 2));
  simt::upload(y.get(), host.data(), sizeof(float));
  fault.launch({y.get(), x.get(), host.data()});
  return simt::take_problems();
}

bool has(const std::vector<Problem>& problems, ProblemKind kind) {
  return std::any_of(problems.begin(), problems.end(),
                     [&](const Problem& problem) { return problem.kind == kind; });
}

TEST_CASE("simt: faults are found under every schedule, as what they are and where") {
  for (int i = 0; i < kNumFaults; ++i) {
    const Fault& fault = kFaults[i];
    CAPTURE(std::string(fault.name));
    std::string first;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      const std::vector<Problem> problems = problems_of(fault, seed);
      const std::string text = text_of(problems);
      if (first.empty()) first = problems.empty() ? "nothing" : problems.front().text;
      CAPTURE(seed);
      CAPTURE(text);
      CHECK(has(problems, fault.kind));
      CHECK(text.find("faults.cu:") != std::string::npos);
    }
    MESSAGE(std::string(fault.name) << ": " << first);
  }
}

TEST_CASE("simt: there is a fault of every kind") {
  std::set<std::string> kinds;
  for (int i = 0; i < kNumFaults; ++i) kinds.insert(simt::name(kFaults[i].kind));
  for (int kind = 0; kind <= static_cast<int>(ProblemKind::kWarpOperation); ++kind) {
    CAPTURE(kind);
    CHECK(kinds.count(simt::name(static_cast<ProblemKind>(kind))) == 1);
  }
}

TEST_CASE("simt: what is right gives no alarm") {
  for (int i = 0; i < kNumRightOnes; ++i) {
    CAPTURE(std::string(kRightOnes[i].name));
    for (uint64_t seed = 1; seed <= 32; ++seed) {
      CAPTURE(seed);
      const std::string text = text_of(problems_of(kRightOnes[i], seed));
      CHECK(text == "");
    }
  }
}

TEST_CASE("simt: memory that was released is out of bounds") {
  use(engines().front(), 1);
  float* gone = nullptr;
  {
    const simt::Array<float> y(256);
    gone = y.get();
  }
  kFaults[0].launch({gone - 1, nullptr, nullptr});  // Aligned now.
  CHECK(has(simt::take_problems(), ProblemKind::kOutOfBounds));
}

TEST_CASE("simt: the same seed is the same schedule, another is another") {
  std::vector<std::vector<Problem>> runs;
  for (const uint64_t seed : {5, 5, 6, 7, 8}) {
    use(engines().front(), seed);
    // Who comes first overwrites: which thread is reported depends on the schedule.
    runs.push_back(problems_of(kFaults[12], seed));
  }
  CHECK(text_of(runs[0]) == text_of(runs[1]));
  CHECK(std::any_of(runs.begin() + 2, runs.end(),
                    [&](const auto& run) { return text_of(run) != text_of(runs[0]); }));
}

namespace cuda = kernels::cuda;
using cuda::StreamHandle;

// What shows the faults of an operation.
void run(void (*rmsnorm)(StreamHandle, const kernels::RmsNorm&)) {
  constexpr int64_t N = 2, D = 122;
  const simt::Array<float> x(std::vector<float>(N * 124 - 2, 1.0f));
  const simt::Array<float> weight(std::vector<float>(D, 1.0f)), rstd(N);
  const simt::Array<uint16_t> y(N * D);
  rmsnorm(nullptr, {.y = y.stored(),
                    .rstd = rstd.device(),
                    .x = x.device(),
                    .weight = weight.device(),
                    .N = N,
                    .D = D,
                    .ldx = 124,
                    .ldy = D,
                    .epsilon = 1e-6f});
}
void run(void (*gemm)(StreamHandle, const kernels::Gemm&)) {
  constexpr int64_t M = 17, N = 33, K = 96;
  const simt::Array<uint16_t> x(std::vector<uint16_t>(M * K, 0x3F80));
  const simt::Array<uint16_t> w(std::vector<uint16_t>(N * K, 0x3F80));
  const simt::Array<float> y(M * N);
  gemm(nullptr, {.y = y.device(),
                 .x = x.stored(),
                 .w = {w.stored().address, N, K},
                 .M = M,
                 .ldy = N,
                 .ldx = K});
}
void run(void (*mla_query)(StreamHandle, const kernels::MlaQuery&)) {
  constexpr int64_t N = 1, H = 2, kNope = 32, R = 16, P = 16;
  const simt::Array<float> q(std::vector<float>(N * H * (kNope + P), 1.0f));
  const simt::Array<float> table(std::vector<float>(P, 0.5f));
  const simt::Array<int32_t> position(std::vector<int32_t>(N, 0));
  const simt::Array<uint16_t> nope(N * H * kNope), row(N * H * kernels::padded(R + P));
  mla_query(nullptr, {.nope = nope.stored(),
                      .row = row.stored(),
                      .q = q.device(),
                      .position = position.device(),
                      .table = table.device(),
                      .N = N,
                      .H = H,
                      .nope_dim = kNope,
                      .R = R,
                      .P = P});
}
void run(void (*mla_query_backward)(StreamHandle, const kernels::MlaQueryBackward&)) {
  constexpr int64_t N = 1, H = 2, kNope = 32, R = 16, P = 16;
  const simt::Array<float> dnope(std::vector<float>(N * H * kNope, 1.0f));
  const simt::Array<float> drow(std::vector<float>(N * H * kernels::padded(R + P), 1.0f));
  const simt::Array<float> table(std::vector<float>(P, 0.5f));
  const simt::Array<int32_t> position(std::vector<int32_t>(N, 0));
  const simt::Array<uint16_t> dq(N * H * (kNope + P));
  mla_query_backward(nullptr, {.dq = dq.stored(),
                               .dnope = dnope.device(),
                               .drow = drow.device(),
                               .position = position.device(),
                               .table = table.device(),
                               .N = N,
                               .H = H,
                               .nope_dim = kNope,
                               .R = R,
                               .P = P});
}

void run(void (*mla_latent)(StreamHandle, const kernels::MlaLatent&)) {
  constexpr int64_t N = 2, R = 30, P = 2;
  const simt::Array<float> kv(std::vector<float>(N * (R + P), 1.0f)), rstd(N);
  const simt::Array<float> weight(std::vector<float>(R, 1.0f)), table(std::vector<float>(P, 0.5f));
  const simt::Array<int32_t> position(std::vector<int32_t>(N, 0)), slot(std::vector<int32_t>{1, 0});
  const simt::Array<uint16_t> cache(N * kernels::padded(R + P));
  mla_latent(nullptr, {.cache = cache.stored(),
                       .rstd = rstd.device(),
                       .kv = kv.device(),
                       .weight = weight.device(),
                       .position = position.device(),
                       .slot = slot.device(),
                       .table = table.device(),
                       .N = N,
                       .R = R,
                       .P = P});
}
void run(void (*mla_latent_backward)(StreamHandle, const kernels::MlaLatentBackward&)) {
  constexpr int64_t N = 2, R = 30, P = 2;
  const simt::Array<float> kv(std::vector<float>(N * (R + P), 1.0f));
  const simt::Array<float> rstd(std::vector<float>(N, 1.0f)), table(std::vector<float>(P, 0.5f));
  const simt::Array<float> weight(std::vector<float>(R, 1.0f)), dweight(std::vector<float>(R, 0));
  const simt::Array<float> dlatent(std::vector<float>(N * kernels::padded(R + P), 1.0f));
  const simt::Array<int32_t> position(std::vector<int32_t>(N, 0));
  const simt::Array<uint16_t> dkv(N * (R + P));
  mla_latent_backward(nullptr, {.dkv = dkv.stored(),
                                .dweight = dweight.device(),
                                .dlatent = dlatent.device(),
                                .kv = kv.device(),
                                .rstd = rstd.device(),
                                .weight = weight.device(),
                                .position = position.device(),
                                .table = table.device(),
                                .N = N,
                                .R = R,
                                .P = P});
}

void run(void (*head_rows)(StreamHandle, const kernels::HeadRows&)) {
  constexpr int64_t N = 2, H = 3, d = 32;
  const simt::Array<float> x(std::vector<float>(N * H * d, 1.0f)), rstd(N * H);
  const simt::Array<float> weight(std::vector<float>(d, 1.0f)), table(std::vector<float>(d, 0.5f));
  const simt::Array<int32_t> position(std::vector<int32_t>(N, 0));
  const simt::Array<uint16_t> y(N * H * d);
  head_rows(nullptr, {.y = y.stored(),
                      .rstd = rstd.device(),
                      .x = x.device(),
                      .weight = weight.device(),
                      .position = position.device(),
                      .table = table.device(),
                      .N = N,
                      .H = H,
                      .d = d,
                      .ldy = H * d,
                      .stride = d});
}
void run(void (*head_rows_backward)(StreamHandle, const kernels::HeadRowsBackward&)) {
  constexpr int64_t N = 2, H = 3, d = 30;
  const std::vector<float> ones(N * H * d, 1.0f);
  const simt::Array<float> dy(ones), x(ones), rstd(std::vector<float>(N * H, 1.0f));
  const simt::Array<float> weight(std::vector<float>(d, 1.0f)), dweight(std::vector<float>(d, 0));
  const simt::Array<float> table(std::vector<float>(d, 0.5f));
  const simt::Array<int32_t> position(std::vector<int32_t>(N, 0));
  const simt::Array<uint16_t> dx(N * H * d);
  head_rows_backward(nullptr, {.dx = dx.stored(),
                               .dweight = dweight.device(),
                               .dy = dy.device(),
                               .x = x.device(),
                               .rstd = rstd.device(),
                               .weight = weight.device(),
                               .position = position.device(),
                               .table = table.device(),
                               .N = N,
                               .H = H,
                               .d = d,
                               .lddy = H * d,
                               .stride = d});
}

void run(void (*attention)(StreamHandle, const kernels::Attention&)) {
  constexpr int64_t N = 3, H = 17, kWidth = 32, kTokens = 40;
  const simt::Array<uint16_t> out(N * H * kWidth);
  const simt::Array<uint16_t> query(std::vector<uint16_t>(N * H * kWidth, 0x3F80));
  std::vector<uint16_t> rows(2 * 32 * kWidth);
  const simt::Array<uint16_t> cache(kTokens * kWidth);
  simt::upload(cache.get(), rows.data(), kTokens * kWidth * 2);
  const simt::Array<int32_t> offset(std::vector<int32_t>{0, N}), context(std::vector<int32_t>{40});
  const simt::Array<int32_t> table(std::vector<int32_t>{0, 32});
  // One block has all tiles of a token with the bound that it is told.
  attention(nullptr, {.out = out.stored(),
                      .query = query.stored(),
                      .cache = cache.stored(),
                      .row = {.width = kWidth, .key_width = kWidth, .value_width = kWidth},
                      .sequences = {.query_offset = offset.device(),
                                    .context = context.device(),
                                    .block_table = table.device(),
                                    .S = 1,
                                    .blocks_max = 2,
                                    .context_max = 1},
                      .H = H,
                      .scale = 1});
}

void run(void (*token_logprob)(StreamHandle, const kernels::TokenLogprob&)) {
  constexpr int64_t N = 2, V = 122;
  const simt::Array<float> logit(std::vector<float>(N * V, 1.0f)), logprob(N), lse(N), entropy(N);
  const simt::Array<int32_t> token(std::vector<int32_t>{0, 121});
  token_logprob(nullptr, {.logprob = logprob.device(),
                          .lse = lse.device(),
                          .entropy = entropy.device(),
                          .logit = logit.device(),
                          .token = token.device(),
                          .N = N,
                          .V = V});
}
void run(void (*token_logprob_backward)(StreamHandle, const kernels::TokenLogprobBackward&)) {
  constexpr int64_t N = 2, V = 122;
  const simt::Array<float> logit(std::vector<float>(N * V, 1.0f));
  const simt::Array<float> dlogprob(std::vector<float>(N, 1.0f)), lse(std::vector<float>(N, 2.0f));
  const simt::Array<int32_t> token(std::vector<int32_t>{0, 121});
  const simt::Array<uint16_t> dlogit(N * V);
  token_logprob_backward(nullptr, {.dlogit = dlogit.stored(),
                                   .dlogprob = dlogprob.device(),
                                   .lse = lse.device(),
                                   .logit = logit.device(),
                                   .token = token.device(),
                                   .N = N,
                                   .V = V});
}

void run(void (*sample)(StreamHandle, const kernels::Sample&)) {
  constexpr int64_t N = 2, V = 250;
  const simt::Array<float> logit(std::vector<float>(N * V, 1.0f)), logprob(N);
  const simt::Array<int32_t> token(N);
  const simt::Array<kernels::SampleKey> key{std::vector<kernels::SampleKey>(N)};
  sample(nullptr, {.token = token.device(),
                   .logprob = logprob.device(),
                   .logit = logit.device(),
                   .key = key.device(),
                   .N = N,
                   .V = V,
                   .top_p = 0.5f});
}

void run(void (*attention_backward)(StreamHandle, const kernels::AttentionBackward&,
                                    kernels::Device<float>)) {
  constexpr int64_t N = 20, H = 17, kWidth = 32;
  const simt::Array<uint16_t> ones(std::vector<uint16_t>(N * H * kWidth, 0x3F80));
  const simt::Array<float> max(std::vector<float>(N * H, 32.0f));
  const simt::Array<float> sum(std::vector<float>(N * H, 1.0f)), dots(N * H);
  const simt::Array<float> dquery(N * H * kWidth), dcache(N * kWidth);
  const simt::Array<int32_t> offset(std::vector<int32_t>{0, N}), context(std::vector<int32_t>{N});
  const simt::Array<int32_t> table(std::vector<int32_t>{0});
  attention_backward(nullptr,
                     {.dquery = dquery.device(),
                      .dcache = dcache.device(),
                      .dout = ones.stored(),
                      .query = ones.stored(),
                      .cache = ones.stored(),
                      .max = max.device(),
                      .sum = sum.device(),
                      .row = {.width = kWidth, .key_width = kWidth, .value_width = kWidth},
                      .sequences = {.query_offset = offset.device(),
                                    .context = context.device(),
                                    .block_table = table.device(),
                                    .S = 1,
                                    .blocks_max = 1},
                      .N = N,
                      .H = H,
                      .scale = 1},
                     dots.device());
}

void run(void (*swiglu)(StreamHandle, const kernels::Swiglu&)) {
  constexpr int64_t N = 2, F = 122;
  const simt::Array<float> gate(std::vector<float>(N * F, 1.0f)),
      up(std::vector<float>(N * F, 1.0f));
  const simt::Array<uint16_t> y(N * F);
  swiglu(nullptr,
         {.y = y.stored(), .gate = gate.device(), .up = up.device(), .N = N, .F = F, .ld = F});
}
void run(void (*swiglu_backward)(StreamHandle, const kernels::SwigluBackward&)) {
  constexpr int64_t N = 2, F = 122;
  const std::vector<float> ones(N * F, 1.0f);
  const simt::Array<float> da(ones), gate(ones), up(ones), weight(std::vector<float>(N, 1.0f));
  const simt::Array<float> dweight(N);
  const simt::Array<int32_t> slot_row(std::vector<int32_t>{1, 0});
  const simt::Array<uint16_t> dgate(N * F), dup(N * F), weighted(N * F);
  swiglu_backward(nullptr, {.dgate = dgate.stored(),
                            .dup = dup.stored(),
                            .weighted = weighted.stored(),
                            .dweight = dweight.device(),
                            .da = da.device(),
                            .gate = gate.device(),
                            .up = up.device(),
                            .weight = weight.device(),
                            .slot_row = slot_row.device(),
                            .N = N,
                            .F = F,
                            .ld = F,
                            .num_slots = N});
}
void run(void (*rmsnorm_backward)(StreamHandle, const kernels::RmsNormBackward&)) {
  constexpr int64_t N = 2, D = 122;
  const std::vector<float> ones(N * D, 1.0f), row(D, 1.0f);
  const simt::Array<float> x(ones), dy(ones), dx(ones), weight(row), dweight(row);
  const simt::Array<float> rstd(std::vector<float>(N, 1.0f));
  rmsnorm_backward(nullptr, {.dx = dx.device(),
                             .dweight = dweight.device(),
                             .dy = dy.device(),
                             .x = x.device(),
                             .rstd = rstd.device(),
                             .weight = weight.device(),
                             .N = N,
                             .D = D,
                             .ldx = D,
                             .lddy = D});
}

void run(void (*embedding)(StreamHandle, const kernels::Embedding&)) {
  constexpr int64_t N = 3, D = 5, V = 2;
  const simt::Array<float> table(std::vector<float>(V * D, 1.0f)), x(N * D);
  const simt::Array<int32_t> token(std::vector<int32_t>{1, 0, 1});
  embedding(nullptr,
            {.x = x.device(), .table = table.device(), .token = token.device(), .N = N, .D = D});
}
void run(void (*embedding_backward)(StreamHandle, const kernels::EmbeddingBackward&)) {
  constexpr int64_t N = 257, D = 5, V = 200;
  const simt::Array<float> dtable(std::vector<float>(V * D, 1.0f));
  const simt::Array<float> dx(std::vector<float>(N * D, 1.0f));
  std::vector<int32_t> tokens(N);
  for (int32_t n = 0; n < N; ++n) tokens[static_cast<size_t>(n)] = n % V;
  const simt::Array<int32_t> token(tokens);
  embedding_backward(
      nullptr,
      {.dtable = dtable.device(), .dx = dx.device(), .token = token.device(), .N = N, .D = D});
}
void run(void (*adamw)(StreamHandle, const kernels::AdamW&)) {
  constexpr int64_t n = 122;
  const std::vector<float> ones(n, 1.0f);
  const simt::Array<float> weight(ones), m(ones), v(ones), gradient(ones);
  adamw(nullptr, {.weight = weight.device(),
                  .m = m.device(),
                  .v = v.device(),
                  .gradient = gradient.device(),
                  .n = n});
}

void run(void (*gate)(StreamHandle, const kernels::Gate&)) {
  constexpr int64_t N = 2, E = 64, K = 3;
  const simt::Array<float> logit(std::vector<float>(N * E, 1.0f)), score(N * E), weight(N * K);
  const simt::Array<int32_t> expert(N * K);
  gate(nullptr, {.expert = expert.device(),
                 .weight = weight.device(),
                 .score = score.device(),
                 .logit = logit.device(),
                 .N = N,
                 .E = E,
                 .K = K,
                 .num_groups = 4,
                 .groups_kept = 2});
}

void run(void (*store)(StreamHandle, const cuda::Store&)) {
  constexpr int64_t N = 2, n = 122;
  const simt::Array<float> from(std::vector<float>(N * n, 1.0f));
  const simt::Array<uint16_t> to(N * n);
  store(nullptr,
        {.to = to.stored(), .from = from.device(), .N = N, .n = n, .ldto = n, .ldfrom = n});
}
void run(void (*round_bf16)(StreamHandle, const cuda::RoundBf16&)) {
  const simt::Array<float> x(std::vector<float>(122, 1.0f));
  round_bf16(nullptr, {.x = x.device(), .n = 122});
}
void run(void (*pack)(StreamHandle, const cuda::Pack&)) {
  constexpr int64_t rows = 33, cols = 32;
  const simt::Array<float> from(std::vector<float>(rows * cols, 1.0f));
  const simt::Array<uint16_t> to(static_cast<size_t>(cuda::packed_bytes(rows, cols) / 2));
  pack(nullptr, {.to = {to.stored().address, rows, cols},
                 .from = from.device(),
                 .ld = rows,
                 .is_transposed = true});
}
void run(void (*add)(StreamHandle, const cuda::Add&)) {
  const simt::Array<float> y(std::vector<float>(122, 1.0f)), x(std::vector<float>(122, 1.0f));
  add(nullptr, {.y = y.device(), .x = x.device(), .n = 122});
}
void run(void (*square_sums)(StreamHandle, const cuda::SquareSums&)) {
  constexpr int64_t n = kernels::kChunkElements + 5;
  const simt::Array<float> x(std::vector<float>(n, 1.0f));
  const simt::Array<double> sums(2);
  square_sums(nullptr, {.sums = sums.device(), .x = x.device(), .n = n});
}
void run(void (*add_bias)(StreamHandle, const kernels::AddBias&)) {
  constexpr int64_t N = 2, n = 122;
  const simt::Array<float> y(std::vector<float>(N * n, 1.0f)), bias(std::vector<float>(n, 1.0f));
  add_bias(nullptr, {.y = y.device(), .bias = bias.device(), .N = N, .n = n});
}
void run(void (*bias_gradient)(StreamHandle, const kernels::BiasGradient&)) {
  constexpr int64_t N = 2, n = 122;
  const simt::Array<uint16_t> dy(std::vector<uint16_t>(N * n, 0x3F80));
  const simt::Array<float> dbias(std::vector<float>(n, 1.0f));
  bias_gradient(nullptr, {.dbias = dbias.device(), .dy = dy.stored(), .N = N, .n = n});
}

void run(void (*gate_backward)(StreamHandle, const kernels::GateBackward&)) {
  constexpr int64_t N = 2, E = 64, K = 3;
  const simt::Array<uint16_t> dlogit(N * E);
  const simt::Array<float> dweight(std::vector<float>(N * K, 1.0f));
  const simt::Array<float> score(std::vector<float>(N * E, 0.5f));
  const simt::Array<int32_t> expert(std::vector<int32_t>{0, 1, 2, 5, 6, 63});
  gate_backward(nullptr, {.dlogit = dlogit.stored(),
                          .dweight = dweight.device(),
                          .expert = expert.device(),
                          .score = score.device(),
                          .N = N,
                          .E = E,
                          .K = K});
}
void run(void (*route)(StreamHandle, const kernels::Route&)) {
  constexpr int64_t N = 600, E = 4, K = 1;
  std::vector<int32_t> experts(N * K);
  for (int32_t n = 0; n < N; ++n) experts[static_cast<size_t>(n)] = n % E;
  const simt::Array<int32_t> expert(experts), offsets(E + 1), row_token(N * K), slot_row(N * K);
  route(nullptr, {.offsets = offsets.device(),
                  .row_token = row_token.device(),
                  .slot_row = slot_row.device(),
                  .expert = expert.device(),
                  .N = N,
                  .E = E,
                  .K = K});
}

void run(void (*grouped_gemm)(StreamHandle, const kernels::GroupedGemm&)) {
  constexpr int64_t N = 8, K = 32, E = 2;
  const simt::Array<uint16_t> x(std::vector<uint16_t>(18 * K, 0x3F80));
  const simt::Array<uint16_t> w(std::vector<uint16_t>(E * N * K, 0x3F80));
  const simt::Array<int32_t> offsets(std::vector<int32_t>{0, 1, 18});
  const simt::Array<float> y(18 * N);
  grouped_gemm(nullptr, {.gemm = {.y = y.device(),
                                  .x = x.stored(),
                                  .w = {w.stored().address, N, K},
                                  .M = 18,
                                  .ldy = N,
                                  .ldx = K},
                         .w_stride_bytes = N * K * 2,
                         .num_groups = E,
                         .offsets = offsets.device()});
}
// Of a weight (17, 33) by 95 rows, the same for each of two groups.
kernels::WeightGradient gradient_of(const simt::Array<float>& dw,
                                    const simt::Array<uint16_t>& ones) {
  return {.dw = dw.device(),
          .dy = ones.stored(),
          .x = ones.stored(),
          .T = 95,
          .rows = 17,
          .cols = 33,
          .ldw = 33,
          .lddy = 40,
          .ldx = 40};
}
void run(void (*weight_gradient)(StreamHandle, const kernels::WeightGradient&)) {
  const simt::Array<float> dw(std::vector<float>(17 * 33, 1.0f));
  const simt::Array<uint16_t> ones(std::vector<uint16_t>(95 * 40, 0x3F80));
  weight_gradient(nullptr, gradient_of(dw, ones));
}
void run(void (*grouped_weight_gradient)(StreamHandle, const kernels::GroupedWeightGradient&)) {
  const simt::Array<float> dw(std::vector<float>(2 * 17 * 33, 1.0f));
  const simt::Array<uint16_t> ones(std::vector<uint16_t>(95 * 40, 0x3F80));
  const simt::Array<int32_t> offsets(std::vector<int32_t>{0, 50, 95});
  grouped_weight_gradient(nullptr, {.gradient = gradient_of(dw, ones),
                                    .num_groups = 2,
                                    .dw_stride = 17 * 33,
                                    .offsets = offsets.device()});
}

void run(void (*combine)(StreamHandle, const kernels::CombineExperts&, const cuda::Scratch&)) {
  constexpr int64_t N = 2, K = 2, E = 2, D = 40, F = 16, M = N * K;
  const simt::Array<uint16_t> x(std::vector<uint16_t>(M * F, 0x3F80));
  const simt::Array<uint16_t> w(std::vector<uint16_t>(E * D * kernels::padded(F), 0x3F80));
  const simt::Array<int32_t> slot_row(std::vector<int32_t>{0, 2, 1, 3});
  const simt::Array<int32_t> offsets(std::vector<int32_t>{0, 2, 4});
  const simt::Array<float> out(std::vector<float>(N * D, 1.0f)), scratch(M * 64);
  combine(nullptr,
          {.out = out.device(),
           .x = x.stored(),
           .w = {w.stored().address, D, F},
           .w_stride_bytes = D * kernels::padded(F) * 2,
           .slot_row = slot_row.device(),
           .offsets = offsets.device(),
           .N = N,
           .K = K,
           .D = D,
           .E = E,
           .F = F},
          {.floats = scratch.device(), .size = M * 64});
}

// A real kernel with a fault in it.
struct Planted {
  const char* name;
  std::function<void()> runs;
  ProblemKind kind;
};
Planted planted(const char* name,
                void (*operation)(StreamHandle, const kernels::AttentionBackward&,
                                  kernels::Device<float>),
                ProblemKind kind) {
  return {name, [operation] { run(operation); }, kind};
}
Planted planted(const char* name,
                void (*operation)(StreamHandle, const kernels::CombineExperts&,
                                  const cuda::Scratch&),
                ProblemKind kind) {
  return {name, [operation] { run(operation); }, kind};
}
template <class Args>
Planted planted(const char* name, void (*operation)(StreamHandle, const Args&), ProblemKind kind) {
  return {name, [operation] { run(operation); }, kind};
}
const Planted kPlanted[] = {
    planted("norm_without_barrier", cuda::norm_without_barrier::rmsnorm,
            ProblemKind::kNeverWritten),
    planted("norm_past_its_partials", cuda::norm_past_its_partials::rmsnorm,
            ProblemKind::kOutOfBounds),
    planted("norm_shuffle_of_some", cuda::norm_shuffle_of_some::rmsnorm, ProblemKind::kDeadlock),
    planted("norm_two_barriers", cuda::norm_two_barriers::rmsnorm, ProblemKind::kDivergentBarrier),
    planted("norm_past_the_row", cuda::norm_past_the_row::rmsnorm, ProblemKind::kOutOfBounds),
    planted("norm_one_row", cuda::norm_one_row::rmsnorm, ProblemKind::kRaceOfBlocks),
    planted("product_without_wait", cuda::product_without_wait::gemm, ProblemKind::kCopyOnItsWay),
    planted("product_waits_for_too_few", cuda::product_waits_for_too_few::gemm,
            ProblemKind::kCopyOnItsWay),
    planted("product_without_barrier", cuda::product_without_barrier::gemm,
            ProblemKind::kCopyOnItsWay),
    planted("product_wrong_stage", cuda::product_wrong_stage::gemm, ProblemKind::kCopyOnItsWay),
    planted("product_without_tail", cuda::product_without_tail::gemm, ProblemKind::kOutOfBounds),
    planted("product_writes_too_much", cuda::product_writes_too_much::gemm,
            ProblemKind::kOutOfBounds),
    planted("product_misaligned", cuda::product_misaligned::gemm, ProblemKind::kMisaligned),
    planted("query_without_heads", cuda::query_without_heads::mla_query, ProblemKind::kRace),
    planted("query_too_wide", cuda::query_too_wide::mla_query, ProblemKind::kOutOfBounds),
    planted("query_gradient_of_the_next", cuda::query_gradient_of_the_next::mla_query_backward,
            ProblemKind::kOutOfBounds),
    planted("latent_one_slot", cuda::latent_one_slot::mla_latent, ProblemKind::kRaceOfBlocks),
    planted("latent_past_the_row", cuda::latent_past_the_row::mla_latent,
            ProblemKind::kOutOfBounds),
    planted("latent_gradient_of_the_padding",
            cuda::latent_gradient_of_the_padding::mla_latent_backward, ProblemKind::kOutOfBounds),
    planted("latent_gradient_past_its_columns",
            cuda::latent_gradient_past_its_columns::mla_latent_backward, ProblemKind::kOutOfBounds),
    planted("heads_past_the_last", cuda::heads_past_the_last::head_rows, ProblemKind::kOutOfBounds),
    planted("heads_in_one_row", cuda::heads_in_one_row::head_rows, ProblemKind::kRaceOfBlocks),
    planted("heads_gradient_of_the_next", cuda::heads_gradient_of_the_next::head_rows_backward,
            ProblemKind::kOutOfBounds),
    planted("heads_gradient_past_its_columns",
            cuda::heads_gradient_past_its_columns::head_rows_backward, ProblemKind::kOutOfBounds),
    planted("attention_without_barrier", cuda::attention_without_barrier::attention,
            ProblemKind::kNeverWritten),
    planted("attention_without_second_barrier", cuda::attention_without_second_barrier::attention,
            ProblemKind::kRace),
    planted("attention_without_last_barrier", cuda::attention_without_last_barrier::attention,
            ProblemKind::kRace),
    planted("attention_past_the_context", cuda::attention_past_the_context::attention,
            ProblemKind::kOutOfBounds),
    planted("attention_in_one_row", cuda::attention_in_one_row::attention,
            ProblemKind::kRaceOfBlocks),
    planted("logprob_one_set_of_partials", cuda::logprob_one_set_of_partials::token_logprob,
            ProblemKind::kRace),
    planted("logprob_one_row", cuda::logprob_one_row::token_logprob, ProblemKind::kRaceOfBlocks),
    planted("logprob_gradient_past_the_row",
            cuda::logprob_gradient_past_the_row::token_logprob_backward, ProblemKind::kOutOfBounds),
    planted("sample_without_barrier", cuda::sample_without_barrier::sample, ProblemKind::kRace),
    planted("sample_past_the_row", cuda::sample_past_the_row::sample, ProblemKind::kOutOfBounds),
    planted("sample_one_token", cuda::sample_one_token::sample, ProblemKind::kRaceOfBlocks),
    planted("attention_gradient_without_barrier",
            cuda::attention_gradient_without_barrier::attention_backward, ProblemKind::kRace),
    planted("attention_gradient_in_place", cuda::attention_gradient_in_place::attention_backward,
            ProblemKind::kRace),
    planted("attention_gradient_past_the_sequence",
            cuda::attention_gradient_past_the_sequence::attention_backward,
            ProblemKind::kOutOfBounds),
    planted("attention_gradient_one_dot", cuda::attention_gradient_one_dot::attention_backward,
            ProblemKind::kRaceOfBlocks),
    planted("swiglu_past_the_row", cuda::swiglu_past_the_row::swiglu, ProblemKind::kOutOfBounds),
    planted("swiglu_gradient_past_the_row", cuda::swiglu_gradient_past_the_row::swiglu_backward,
            ProblemKind::kOutOfBounds),
    planted("swiglu_gradient_one_sum", cuda::swiglu_gradient_one_sum::swiglu_backward,
            ProblemKind::kRaceOfBlocks),
    planted("norm_gradient_one_row", cuda::norm_gradient_one_row::rmsnorm_backward,
            ProblemKind::kRaceOfBlocks),
    planted("norm_gradient_without_barrier", cuda::norm_gradient_without_barrier::rmsnorm_backward,
            ProblemKind::kNeverWritten),
    planted("norm_gradient_past_its_columns",
            cuda::norm_gradient_past_its_columns::rmsnorm_backward, ProblemKind::kOutOfBounds),
    planted("embedding_past_the_row", cuda::embedding_past_the_row::embedding,
            ProblemKind::kOutOfBounds),
    planted("embedding_gradient_by_all", cuda::embedding_gradient_by_all::embedding_backward,
            ProblemKind::kRaceOfBlocks),
    planted("embedding_gradient_without_barrier",
            cuda::embedding_gradient_without_barrier::embedding_backward,
            ProblemKind::kNeverWritten),
    planted("embedding_gradient_one_set", cuda::embedding_gradient_one_set::embedding_backward,
            ProblemKind::kRace),
    planted("adamw_past_the_end", cuda::adamw_past_the_end::adamw, ProblemKind::kOutOfBounds),
    planted("gate_without_barrier", cuda::gate_without_barrier::gate, ProblemKind::kNeverWritten),
    planted("gate_past_its_experts", cuda::gate_past_its_experts::gate, ProblemKind::kOutOfBounds),
    planted("gate_return_before_a_shuffle", cuda::gate_return_before_a_shuffle::gate,
            ProblemKind::kDeadlock),
    planted("gate_one_row", cuda::gate_one_row::gate, ProblemKind::kRaceOfBlocks),
    planted("store_past_the_row", cuda::store_past_the_row::store, ProblemKind::kOutOfBounds),
    planted("round_past_the_end", cuda::round_past_the_end::round_bf16, ProblemKind::kOutOfBounds),
    planted("pack_past_the_source", cuda::pack_past_the_source::pack, ProblemKind::kOutOfBounds),
    planted("pack_without_barrier", cuda::pack_without_barrier::pack, ProblemKind::kNeverWritten),
    planted("add_past_the_end", cuda::add_past_the_end::add, ProblemKind::kOutOfBounds),
    planted("square_sums_without_barrier", cuda::square_sums_without_barrier::square_sums,
            ProblemKind::kNeverWritten),
    planted("square_sums_one_chunk", cuda::square_sums_one_chunk::square_sums,
            ProblemKind::kRaceOfBlocks),
    planted("bias_one_row", cuda::bias_one_row::add_bias, ProblemKind::kRaceOfBlocks),
    planted("bias_gradient_past_its_columns", cuda::bias_gradient_past_its_columns::bias_gradient,
            ProblemKind::kOutOfBounds),
    planted("bias_gradient_without_barrier", cuda::bias_gradient_without_barrier::bias_gradient,
            ProblemKind::kNeverWritten),
    planted("gate_gradient_without_barrier", cuda::gate_gradient_without_barrier::gate_backward,
            ProblemKind::kNeverWritten),
    planted("gate_gradient_one_row", cuda::gate_gradient_one_row::gate_backward,
            ProblemKind::kRaceOfBlocks),
    planted("route_without_barrier", cuda::route_without_barrier::route,
            ProblemKind::kNeverWritten),
    planted("route_one_set", cuda::route_one_set::route, ProblemKind::kRace),
    planted("route_past_its_experts", cuda::route_past_its_experts::route,
            ProblemKind::kOutOfBounds),
    planted("groups_past_the_last", cuda::groups_past_the_last::grouped_gemm,
            ProblemKind::kOutOfBounds),
    planted("groups_without_their_end", cuda::groups_without_their_end::grouped_gemm,
            ProblemKind::kRaceOfBlocks),
    planted("combine_past_its_columns", cuda::combine_past_its_columns::combine_experts,
            ProblemKind::kOutOfBounds),
    planted("combine_one_row", cuda::combine_one_row::combine_experts, ProblemKind::kRaceOfBlocks),
    planted("combine_rows_of_the_next", cuda::combine_rows_of_the_next::combine_experts,
            ProblemKind::kOutOfBounds),
    planted("weight_gradient_without_wait", cuda::weight_gradient_without_wait::weight_gradient,
            ProblemKind::kCopyOnItsWay),
    planted("weight_gradient_without_barrier",
            cuda::weight_gradient_without_barrier::weight_gradient, ProblemKind::kCopyOnItsWay),
    planted("weight_gradient_past_the_rows", cuda::weight_gradient_past_the_rows::weight_gradient,
            ProblemKind::kOutOfBounds),
    planted("weight_gradient_past_the_columns",
            cuda::weight_gradient_past_the_columns::weight_gradient, ProblemKind::kOutOfBounds),
    planted("weight_gradient_one_group", cuda::weight_gradient_one_group::grouped_weight_gradient,
            ProblemKind::kRaceOfBlocks),
};

TEST_CASE("simt: faults in the real kernels are found as what they are") {
  for (const Planted& fault : kPlanted) {
    CAPTURE(std::string(fault.name));
    std::vector<Problem> all;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      use(engines().front(), seed);
      fault.runs();
      for (const Problem& problem : simt::take_problems()) all.push_back(problem);
    }
    if (!all.empty()) MESSAGE(all.front().text);
    const std::string text = text_of(all);
    CAPTURE(text);
    CHECK(has(all, fault.kind));
  }
}

}  // namespace
}  // namespace troupe::tests

#include "kernels/cuda/cuda_backend.h"

#include <algorithm>

#include "kernels/cuda/machine.h"
#include "kernels/cuda/operations.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

// What a Stream is here. It belongs to one thread, so its scratch is one operation's at a time; the
// queue orders that operation before the next.
struct StreamState {
  StreamHandle queue = nullptr;
  Scratch scratch{};
};
StreamState& state_of(Stream* stream) { return *reinterpret_cast<StreamState*>(stream); }
StreamHandle queue_of(Stream* stream) { return state_of(stream).queue; }

// For each row of a product: some columns of it on their way to tokens, the more of them at a time
// the fewer launches; or a number of each head. No model has more heads than columns here.
int64_t scratch_floats(const WorkspacePlan& plan) {
  constexpr int64_t kColumns = 256;
  return plan.tokens_max * std::min(padded(plan.width_max, 64), kColumns);
}

Stream* create_stream(Precision precision, const WorkspacePlan& plan) {
  TROUPE_CHECK(precision == Precision::kBf16);
  auto* state = new StreamState{};
  state->queue = machine::queue();
  state->scratch.size = scratch_floats(plan);
  if (state->scratch.size > 0) {
    state->scratch.floats.address = machine::allocate(state->scratch.size * 4);
    TROUPE_CHECK(state->scratch.floats);
  }
  return reinterpret_cast<Stream*>(state);
}

void destroy_stream(Stream* stream) {
  machine::release(state_of(stream).scratch.floats.address);
  delete &state_of(stream);
}

#define TROUPE_LAUNCH(name, Args)                        \
  table.name = [](Stream* stream, const Args& args) {    \
    troupe::kernels::cuda::name(queue_of(stream), args); \
  }

void fill_products(Backend& table) {
  table.packed_bytes = [](Precision precision, int64_t rows, int64_t cols) {
    TROUPE_CHECK(precision == Precision::kBf16);
    return packed_bytes(rows, cols);
  };
  table.pack = [](Stream* stream, const Packed& to, Device<float> from, int64_t ld,
                  bool is_transposed) {
    Pack args;
    args.to = to;
    args.from = from;
    args.ld = ld;
    args.is_transposed = is_transposed;
    pack(queue_of(stream), args);
  };
  table.store = [](Stream* stream, Stored to, Device<float> from, int64_t N, int64_t n,
                   int64_t ldto, int64_t ldfrom) {
    Store args;
    args.to = to;
    args.from = from;
    args.N = N;
    args.n = n;
    args.ldto = ldto;
    args.ldfrom = ldfrom;
    store(queue_of(stream), args);
  };
  table.round_bf16 = [](Stream* stream, Device<float> x, int64_t n) {
    RoundBf16 args;
    args.x = x;
    args.n = n;
    round_bf16(queue_of(stream), args);
  };
  TROUPE_LAUNCH(gemm, Gemm);
  TROUPE_LAUNCH(grouped_gemm, GroupedGemm);
  TROUPE_LAUNCH(weight_gradient, WeightGradient);
  TROUPE_LAUNCH(grouped_weight_gradient, GroupedWeightGradient);
}

void fill_layers(Backend& table) {
  TROUPE_LAUNCH(rmsnorm, RmsNorm);
  TROUPE_LAUNCH(rmsnorm_backward, RmsNormBackward);
  TROUPE_LAUNCH(mla_query, MlaQuery);
  TROUPE_LAUNCH(mla_query_backward, MlaQueryBackward);
  TROUPE_LAUNCH(mla_latent, MlaLatent);
  TROUPE_LAUNCH(mla_latent_backward, MlaLatentBackward);
  TROUPE_LAUNCH(head_rows, HeadRows);
  TROUPE_LAUNCH(head_rows_backward, HeadRowsBackward);
  TROUPE_LAUNCH(attention, Attention);
  table.attention_backward = [](Stream* stream, const AttentionBackward& args) {
    const Scratch& scratch = state_of(stream).scratch;
    TROUPE_CHECK(args.N * args.H <= scratch.size);
    attention_backward(queue_of(stream), args, scratch.floats);
  };
  TROUPE_LAUNCH(add_bias, AddBias);
  TROUPE_LAUNCH(bias_gradient, BiasGradient);
  TROUPE_LAUNCH(gate, Gate);
  TROUPE_LAUNCH(gate_backward, GateBackward);
  TROUPE_LAUNCH(route, Route);
  table.combine_experts = [](Stream* stream, const CombineExperts& args) {
    combine_experts(queue_of(stream), args, state_of(stream).scratch);
  };
  TROUPE_LAUNCH(swiglu, Swiglu);
  TROUPE_LAUNCH(swiglu_backward, SwigluBackward);
  TROUPE_LAUNCH(embedding, Embedding);
  TROUPE_LAUNCH(embedding_backward, EmbeddingBackward);
  TROUPE_LAUNCH(token_logprob, TokenLogprob);
  TROUPE_LAUNCH(token_logprob_backward, TokenLogprobBackward);
  TROUPE_LAUNCH(sample, Sample);
}

void fill_arrays(Backend& table) {
  table.add = [](Stream* stream, Device<float> y, Device<float> x, int64_t n) {
    Add args;
    args.y = y;
    args.x = x;
    args.n = n;
    add(queue_of(stream), args);
  };
  table.square_sums = [](Stream* stream, Device<double> sums, Device<float> x, int64_t n) {
    SquareSums args;
    args.sums = sums;
    args.x = x;
    args.n = n;
    square_sums(queue_of(stream), args);
  };
  TROUPE_LAUNCH(adamw, AdamW);
}

#undef TROUPE_LAUNCH

void fill_memory(Backend& table) {
  table.allocate = machine::allocate;
  table.release = machine::release;
  table.create_stream = create_stream;
  table.destroy_stream = destroy_stream;
  table.upload = [](Stream*, uint64_t to, const void* from, int64_t bytes) {
    if (bytes > 0) machine::upload(to, from, bytes);
  };
  table.download = [](Stream*, void* to, uint64_t from, int64_t bytes) {
    if (bytes > 0) machine::download(to, from, bytes);
  };
  table.copy = [](Stream*, uint64_t to, uint64_t from, int64_t bytes) {
    if (bytes > 0) machine::copy(to, from, bytes);
  };
  table.fill_zero = [](Stream*, uint64_t to, int64_t bytes) {
    if (bytes > 0) machine::fill_zero(to, bytes);
  };
}

}  // namespace

Backend cuda_backend() {
  Backend table;
  table.name = machine::name();
  table.arithmetic_id = machine::arithmetic_id();
  fill_memory(table);
  fill_products(table);
  fill_layers(table);
  fill_arrays(table);
  return table;
}

}  // namespace troupe::kernels::cuda

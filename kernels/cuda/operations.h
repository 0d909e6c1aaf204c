// The operations of backend.h that CUDA kernels do, each in a file of its name. They start work on
// a stream and return; arguments that a kernel cannot take abort the program, because they are
// planned by us and never come from outside.
#pragma once

#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/cuda/launch.h"
#include "kernels/embedding.h"
#include "kernels/gate.h"
#include "kernels/head_rows.h"
#include "kernels/latent_attention.h"
#include "kernels/product.h"
#include "kernels/rmsnorm.h"
#include "kernels/sample.h"
#include "kernels/swiglu.h"
#include "kernels/token_logprob.h"

namespace troupe::kernels::cuda {

// y += x over n elements.
struct Add {
  Device<float> y{};
  Device<float> x{};
  int64_t n = 0;
};
void add(StreamHandle stream, const Add& args);

// sums[i] = the sum of squares of elements [i, i+1) * kChunkElements of x.
struct SquareSums {
  Device<double> sums{};  // out
  Device<float> x{};
  int64_t n = 0;
};
void square_sums(StreamHandle stream, const SquareSums& args);

void add_bias(StreamHandle stream, const AddBias& args);
void bias_gradient(StreamHandle stream, const BiasGradient& args);

// Widths of keys in sixteens, of values at most 512; offsets and strides of the cache even.
void attention(StreamHandle stream, const Attention& args);
// A value begins its key or lies behind it. `dots` is N H floats that it may write.
void attention_backward(StreamHandle stream, const AttentionBackward& args, Device<float> dots);

void adamw(StreamHandle stream, const AdamW& args);

void embedding(StreamHandle stream, const Embedding& args);
void embedding_backward(StreamHandle stream, const EmbeddingBackward& args);

// Memory of the caller that an operation may write, and leaves behind as it is.
struct Scratch {
  Device<float> floats{};
  int64_t size = 0;
};
// At least 64 floats for each of the N K rows; with more there are fewer launches.
void combine_experts(StreamHandle stream, const CombineExperts& args, const Scratch& scratch);

// At most 32 experts for a token and 32 groups, 8,192 experts.
void gate(StreamHandle stream, const Gate& args);
void gate_backward(StreamHandle stream, const GateBackward& args);
void route(StreamHandle stream, const Route& args);

// Weights lie as pack() makes them: rows of padded(cols) bf16, zeros behind cols. Where
// rows of x begin at multiples of sixteen bytes it is faster.
void gemm(StreamHandle stream, const Gemm& args);
// M is a bound: the offsets are read on the device.
void grouped_gemm(StreamHandle stream, const GroupedGemm& args);

// w (rows, cols) from floats at ld; transposed: element (row, col) is from[col * ld + row].
struct Pack {
  Packed to{};  // Of packed_bytes(rows, cols), all of which are written.
  Device<float> from{};
  int64_t ld = 0;
  bool is_transposed = false;
};
int64_t packed_bytes(int64_t rows, int64_t cols);
void pack(StreamHandle stream, const Pack& args);

// Heads of at most 1,024 numbers.
void head_rows(StreamHandle stream, const HeadRows& args);
void head_rows_backward(StreamHandle stream, const HeadRowsBackward& args);

void mla_latent(StreamHandle stream, const MlaLatent& args);
void mla_latent_backward(StreamHandle stream, const MlaLatentBackward& args);

void mla_query(StreamHandle stream, const MlaQuery& args);
void mla_query_backward(StreamHandle stream, const MlaQueryBackward& args);

void rmsnorm(StreamHandle stream, const RmsNorm& args);
// No row of x is named twice by x_rows.
void rmsnorm_backward(StreamHandle stream, const RmsNormBackward& args);

// to (N, n) = from (N, n), rounded.
struct Store {
  Stored to{};
  Device<float> from{};
  int64_t N = 0;
  int64_t n = 0;
  int64_t ldto = 0;
  int64_t ldfrom = 0;
};
void store(StreamHandle stream, const Store& args);

// x (n), to values that bf16 can hold.
struct RoundBf16 {
  Device<float> x{};
  int64_t n = 0;
};
void round_bf16(StreamHandle stream, const RoundBf16& args);

// dw is touched where there are rows, or it overwrites.
void weight_gradient(StreamHandle stream, const WeightGradient& args);
// The offsets are read on the device.
void grouped_weight_gradient(StreamHandle stream, const GroupedWeightGradient& args);

void sample(StreamHandle stream, const Sample& args);

// Logits are not stored: a row is read again.
void token_logprob(StreamHandle stream, const TokenLogprob& args);
void token_logprob_backward(StreamHandle stream, const TokenLogprobBackward& args);

void swiglu(StreamHandle stream, const Swiglu& args);
void swiglu_backward(StreamHandle stream, const SwigluBackward& args);

}  // namespace troupe::kernels::cuda

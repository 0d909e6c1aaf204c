// The operations of kernels/cuda in plain loops over host memory, in the arithmetic of a GPU: what
// a kernel must give bit for bit. Shapes and meanings are those of the operations' headers.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/gate.h"
#include "kernels/sample.h"
#include "tests/support/cuda_reference/mma.h"

namespace troupe::cuda_reference {

// y (M, N) = x (M, K) w (N, K)^T, rows without gaps.
std::vector<float> product(TensorCore core, const std::vector<uint16_t>& x,
                           const std::vector<uint16_t>& w, int64_t M, int64_t N, int64_t K);

// The sum over t of dy[t, n] x[t, k], as (N, K): dy (T, N) and x (T, K), rows without gaps.
std::vector<float> weight_gradient(TensorCore core, const std::vector<uint16_t>& dy,
                                   const std::vector<uint16_t>& x, int64_t T, int64_t N, int64_t K);

// out (N, D) += the sum over k of weight[n, k] rows[slot_row[n, k]]. weight is (N, K), or empty.
void combine(std::vector<float>& out, const std::vector<float>& rows,
             const std::vector<float>& weight, const std::vector<int32_t>& slot_row, int64_t D,
             int64_t K);

// A weight (rows, cols) as products read it: padded(rows, 16) rows of padded(cols) bf16.
std::vector<uint16_t> packed(const std::vector<float>& w, int64_t rows, int64_t cols);

// Of each chunk of kChunkElements.
std::vector<double> square_sums(const std::vector<float>& x);

// dbias (n) += rows of dy (N, n), bf16.
void bias_gradient(std::vector<float>& dbias, const std::vector<uint16_t>& dy);

// dtable (V, D) += rows of dx (N, D), in order.
void embedding_backward(std::vector<float>& dtable, const std::vector<float>& dx,
                        const std::vector<int32_t>& token);

// One element, in place. The addresses of `step` are not looked at.
struct AdamWElement {
  float weight = 0, m = 0, v = 0;
};
void adamw(AdamWElement& element, float gradient, const kernels::AdamW& step);

struct Gated {
  std::vector<int32_t> expert{};  // (N, K)
  std::vector<float> weight{};    // (N, K)
  std::vector<float> score{};     // (N, E)
};
// The addresses of `what` are not looked at. bias is (E), or empty. Logits are numbers.
Gated gate(const std::vector<float>& logit, const std::vector<float>& bias,
           const kernels::Gate& what);

// dlogit (N, E), bf16. The addresses of `what` are not looked at.
std::vector<uint16_t> gate_backward(const std::vector<float>& dweight,
                                    const std::vector<int32_t>& expert,
                                    const std::vector<float>& score,
                                    const kernels::GateBackward& what);

struct Routed {
  std::vector<int32_t> offsets{};    // (E+1)
  std::vector<int32_t> row_token{};  // (N*K)
  std::vector<int32_t> slot_row{};   // (N, K)
};
Routed route(const std::vector<int32_t>& expert, int64_t E, int64_t K);

struct Normalised {
  std::vector<uint16_t> y{};  // (N, D), bf16
  std::vector<float> rstd{};  // (N)
};
Normalised rmsnorm(const std::vector<float>& x, const std::vector<float>& weight, int64_t N,
                   int64_t D, float epsilon);

// dx is added to, or written where it `overwrites`; dweight is added to.
void rmsnorm_backward(std::vector<float>& dx, std::vector<float>& dweight,
                      const std::vector<float>& dy, const std::vector<float>& x,
                      const std::vector<float>& rstd, const std::vector<float>& weight,
                      bool overwrites);

// bf16 of gate sigmoid(gate) up, one for one.
std::vector<uint16_t> swiglu(const std::vector<float>& gate, const std::vector<float>& up);

struct SwigluGradient {
  std::vector<uint16_t> dgate{}, dup{}, weighted{};  // (N, F), bf16
  std::vector<float> dweight{};                      // (N), of each row
};
// weight is (N).
SwigluGradient swiglu_backward(const std::vector<float>& da, const std::vector<float>& gate,
                               const std::vector<float>& up, const std::vector<float>& weight,
                               int64_t F);

// Of adjacent pairs, P numbers in all: cosines and sines of position p begin at table[p P].
struct Rotation {
  std::vector<float> table{};
  std::vector<int32_t> position{};  // Of each token.
  int64_t P = 0;
};
struct MlaQuery {
  std::vector<uint16_t> nope{};  // (N, H, nope)
  std::vector<uint16_t> row{};   // (N, H, W), 0 where the operation does not write.
};
MlaQuery mla_query(const std::vector<float>& q, const Rotation& rotation, int64_t H, int64_t nope,
                   int64_t R);
// (N, H, nope + P)
std::vector<uint16_t> mla_query_backward(const std::vector<float>& dnope,
                                         const std::vector<float>& drow, const Rotation& rotation,
                                         int64_t H, int64_t nope, int64_t R);

// Rows of the cache (N, W), one for each token of `rotation`. kv is (N, R + P).
Normalised mla_latent(const std::vector<float>& kv, const std::vector<float>& weight,
                      const Rotation& rotation, int64_t R, float epsilon);
// dkv (N, R + P), bf16; dweight (R) is added to.
std::vector<uint16_t> mla_latent_backward(
    std::vector<float>& dweight, const std::vector<float>& dlatent, const std::vector<float>& kv,
    const std::vector<float>& rstd, const std::vector<float>& weight, const Rotation& rotation);

// What is done with heads of d numbers.
struct HeadRows {
  int64_t H = 0;
  int64_t d = 0;
  std::vector<float> weight{};  // (d); empty: no norm.
  Rotation rotation{};          // Of pairs (i, i + d / 2); without a table: none.
};
// y is (N, H, padded(d)); rstd is (N, H), empty without a norm. x is (N, H, d).
Normalised head_rows(const std::vector<float>& x, const HeadRows& what, float epsilon);
// dx (N, H, d), bf16; dweight is added to where there is a norm. dy is (N, H, d).
std::vector<uint16_t> head_rows_backward(std::vector<float>& dweight, const std::vector<float>& dy,
                                         const std::vector<float>& x,
                                         const std::vector<float>& rstd, const HeadRows& what);

// What attention is asked for. Sequences are as kernels::SequenceBatch has them.
struct AttentionCase {
  kernels::CacheRow row{};
  std::vector<int32_t> query_offset{};  // (S+1)
  std::vector<int32_t> context{};       // (S)
  std::vector<int32_t> block_table{};   // (S, blocks_max)
  int64_t blocks_max = 0;
  int64_t H = 0;
  float scale = 0;
};
struct Attended {
  std::vector<uint16_t> out{};      // (N, H, value_width), bf16
  std::vector<float> max{}, sum{};  // (N, H)
};
Attended attention(TensorCore core, const std::vector<uint16_t>& query,
                   const std::vector<uint16_t>& cache, const AttentionCase& what);

struct AttentionGradient {
  std::vector<float> dquery{};  // (N, H, key_width)
  std::vector<float> dcache{};  // (N, row.width), 0 where it has neither keys nor values.
};
// Every sequence is whole. `attended` has what attention() kept.
AttentionGradient attention_backward(TensorCore core, const std::vector<uint16_t>& dout,
                                     const std::vector<uint16_t>& query,
                                     const std::vector<uint16_t>& cache, const Attended& attended,
                                     const AttentionCase& what);

struct TokenLogprobs {
  std::vector<float> logprob{}, lse{}, entropy{};  // (N)
};
// logit is (N, V).
TokenLogprobs token_logprob(const std::vector<float>& logit, const std::vector<int32_t>& token,
                            int64_t V, float temperature);
// dlogit (N, V), bf16.
std::vector<uint16_t> token_logprob_backward(const std::vector<float>& dlogprob,
                                             const std::vector<float>& lse,
                                             const std::vector<float>& logit,
                                             const std::vector<int32_t>& token, int64_t V,
                                             float temperature);

struct Sampled {
  std::vector<int32_t> token{};
  std::vector<float> logprob{};
};
// logit is (N, V), N the number of keys. Logits are numbers.
Sampled sample(const std::vector<float>& logit, const std::vector<kernels::SampleKey>& keys,
               int64_t V, float temperature, float top_p);

float exponential(float x);
float logarithm(float x);

// To nearest, ties to even, any NaN to 0x7FFF.
uint16_t to_bf16(float x);
float from_bf16(uint16_t x);

}  // namespace troupe::cuda_reference

// What every device can do: a versioned table of functions that a plugin can provide. model/ is
// written once against this table and knows no device.
//
// Rules of the table:
//   - Memory is opaque: Device<T> is an address on the device, moved over only by upload/download.
//     No host pointer crosses except in those two, and in the argument structs themselves.
//   - Work is ordered by a stream. A stream belongs to one thread at a time and owns the workspace
//     whose size its creator planned, so nothing is allocated by an operation.
//   - Results are functions of the inputs alone: a row's bits do not depend on the other rows, on
//     the number of rows, on the stream or on the instruction set. `arithmetic_id` names the
//     arithmetic; ids are never mixed in one history.
//   - Operands of matrix products are "stored": bf16 (Precision::kBf16), or float where gradients
//     are checked (kFp32). Everything else is float. Rows may have any leading dimension; nothing
//     beyond their width is read or written.
//
// Shapes in this file: N tokens of a packed batch, D hidden size, H heads, V vocabulary, E experts,
// K experts per token, F inner size of a SwiGLU, R rank of the latent, P size of the rotated part,
// W = padded(R + P) width of a latent row, S sequences.
#pragma once

#include <cstdint>

namespace troupe::kernels {

// An address in device memory. Arithmetic is in elements; the host never reads through it.
template <class T>
struct Device {
  uint64_t address = 0;

  Device operator+(int64_t elements) const {
    return {address + static_cast<uint64_t>(elements) * sizeof(T)};
  }
  explicit operator bool() const { return address != 0; }
};

enum class Precision : uint8_t { kBf16 = 0, kFp32 = 1 };

// An operand of a matrix product: bf16 or float by the Precision that the stream was made with, so
// that its element size is not known to the type.
struct Stored {
  uint64_t address = 0;
  uint8_t element_bytes = 2;

  Stored operator+(int64_t elements) const {
    return {address + static_cast<uint64_t>(elements) * element_bytes, element_bytes};
  }
  explicit operator bool() const { return address != 0; }
};

inline constexpr int64_t kPadK = 32;        // Inner products run over whole blocks of this many.
inline constexpr int64_t kPanelN = 16;      // Packed weights hold whole panels of this many rows.
inline constexpr int64_t kBlockTokens = 32;  // Tokens of one block of the latent cache.
inline constexpr int64_t kChunkElements = 65536;  // Unit of the gradient norm's sum.

constexpr int64_t padded(int64_t size, int64_t unit = kPadK) {
  return (size + unit - 1) / unit * unit;
}

struct Stream;  // Opaque.

// A weight matrix (rows, cols) in the layout that products want. Address of packed_bytes() bytes.
struct Packed {
  uint64_t address = 0;
  int64_t rows = 0;  // Outputs of y = x W^T.
  int64_t cols = 0;  // Inputs.
};

// y (M, w.rows) = x (M, w.cols) W^T, or += when `accumulates`: the whole product is formed first,
// then added. Exactly one of y and y_stored is written.
struct Gemm {
  Device<float> y{};
  Stored y_stored{};
  Stored x{};
  Packed w{};
  int64_t M = 0;
  int64_t ldy = 0;
  int64_t ldx = 0;
  Device<int32_t> x_rows{};  // (M)  Row of x for each row of y; absent: the same row.
  bool accumulates = false;
};

// The same for E weights of one shape, `w` being the first and w_stride_bytes apart: rows
// [offsets[e], offsets[e+1]) of y use weight e. M is offsets[E].
struct GroupedGemm {
  Gemm gemm{};
  int64_t w_stride_bytes = 0;
  int64_t num_groups = 0;
  Device<int32_t> offsets{};  // (E+1)
};

// dw (rows, cols) += sum over t of dy[t, :]^T x[t, :], one chain over t in blocks of kPadK counted
// from the first row, then added into dw. With dy_rows / x_rows, row t is taken from there.
struct WeightGradient {
  Device<float> dw{};  // (rows, cols), ld = ldw
  Stored dy{};
  Stored x{};
  int64_t T = 0;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ldw = 0;
  int64_t lddy = 0;
  int64_t ldx = 0;
  Device<int32_t> dy_rows{};  // (T)
  Device<int32_t> x_rows{};   // (T)
};

// Weight e gets the rows [offsets[e], offsets[e+1]); weights are dw_stride elements apart.
struct GroupedWeightGradient {
  WeightGradient gradient{};
  int64_t num_groups = 0;
  int64_t dw_stride = 0;
  Device<int32_t> offsets{};  // (E+1)
};

// kernels/rmsnorm.h
struct RmsNorm {
  Stored y{};               // (N, D) at ldy  out
  Device<float> rstd{};     // (N)  out, kept for backward
  Device<float> x{};        // (N, D) at ldx
  Device<float> weight{};   // (D)
  Device<int32_t> x_rows{};  // (N)  Row of x for each row of y; absent: the same row.
  int64_t N = 0;
  int64_t D = 0;
  int64_t ldx = 0;
  int64_t ldy = 0;
  float epsilon = 0;
};
struct RmsNormBackward {
  Device<float> dx{};       // (N, D) at ldx  accumulated (overwritten where `overwrites`)
  Device<float> dweight{};  // (D)  accumulated
  Device<float> dy{};       // (N, D) at lddy
  Device<float> x{};        // (N, D) at ldx
  Device<float> rstd{};     // (N)
  Device<float> weight{};   // (D)
  Device<int32_t> x_rows{};  // (N)  Row of x and dx for each row of dy.
  int64_t N = 0;
  int64_t D = 0;
  int64_t ldx = 0;
  int64_t lddy = 0;
  bool overwrites = false;
};

// kernels/rope.h: a query (N, H, nope + P) becomes the stored left part, an operand of the
// absorbing product, and the rotated right part inside the query row (N, H, W).
struct MlaQuery {
  Stored nope{};             // (N, H, nope)  out
  Stored row{};              // (N, H, W)  out: [R, R + P) rotated, rest up to W zero
  Device<float> q{};         // (N, H, nope + P)
  Device<int32_t> position{};  // (N)
  Device<float> table{};     // (positions, P)  cos and sin per pair, see rope.h
  int64_t N = 0;
  int64_t H = 0;
  int64_t nope_dim = 0;
  int64_t R = 0;
  int64_t P = 0;
};
struct MlaQueryBackward {
  Stored dq{};               // (N, H * (nope + P))  out
  Device<float> dnope{};     // (N, H, nope)
  Device<float> drow{};      // (N, H, W)
  Device<int32_t> position{};
  Device<float> table{};
  int64_t N = 0;
  int64_t H = 0;
  int64_t nope_dim = 0;
  int64_t R = 0;
  int64_t P = 0;
};

// The latent row of a token: the normalised latent, the rotated shared key, zeros up to W; written
// to the cache row `slot`.
struct MlaLatent {
  Stored cache{};            // (rows, W)  out
  Device<float> rstd{};      // (N)  out
  Device<float> kv{};        // (N, R + P)
  Device<float> weight{};    // (R)
  Device<int32_t> position{};  // (N)
  Device<int32_t> slot{};      // (N)
  Device<float> table{};
  int64_t N = 0;
  int64_t R = 0;
  int64_t P = 0;
  float epsilon = 0;
};
struct MlaLatentBackward {
  Stored dkv{};              // (N, R + P)  out
  Device<float> dweight{};   // (R)  accumulated
  Device<float> dlatent{};   // (N, W)
  Device<float> kv{};        // (N, R + P)
  Device<float> rstd{};      // (N)
  Device<float> weight{};    // (R)
  Device<int32_t> position{};
  Device<float> table{};
  int64_t N = 0;
  int64_t R = 0;
  int64_t P = 0;
};

// Packed sequences over a paged cache. Queries of sequence s are rows [query_offset[s],
// query_offset[s+1]) and are the last of its context[s] tokens; the latent of its token j lies in
// cache row block_table[s * blocks_max + j / kBlockTokens] + j % kBlockTokens.
struct SequenceBatch {
  Device<int32_t> query_offset{};  // (S+1)
  Device<int32_t> context{};       // (S)
  Device<int32_t> block_table{};   // (S, blocks_max)
  int64_t S = 0;
  int64_t blocks_max = 0;
  int64_t context_max = 0;  // Bound on context[s], for the workspace.
};

// kernels/attention.h
struct Attention {
  Stored out{};        // (N, H, R)  out: attended latent
  Device<float> max{};  // (N, H)  out, kept for backward; absent in generation
  Device<float> sum{};  // (N, H)  out, likewise
  Stored query{};      // (N, H, W)
  Stored cache{};      // (rows, W)
  SequenceBatch sequences{};
  int64_t H = 0;
  int64_t R = 0;
  int64_t W = 0;
  float scale = 0;
};
struct AttentionBackward {
  Device<float> dquery{};   // (N, H, W)  out
  Device<float> dlatent{};  // (N, W)  out; row n is token n of the batch, whose keys are all there
  Stored dout{};            // (N, H, R)
  Stored query{};
  Stored cache{};
  Device<float> max{};
  Device<float> sum{};
  SequenceBatch sequences{};  // Every sequence whole: as many queries as context.
  int64_t N = 0;
  int64_t H = 0;
  int64_t R = 0;
  int64_t W = 0;
  float scale = 0;
};

// kernels/gate.h
struct Gate {
  Device<int32_t> expert{};  // (N, K)  out, ascending within a token
  Device<float> weight{};    // (N, K)  out
  Device<float> score{};     // (N, E)  out: sigmoid, kept for backward
  Device<float> logit{};     // (N, E)
  Device<float> bias{};      // (E)  for the selection only
  int64_t N = 0;
  int64_t E = 0;
  int64_t K = 0;
  int64_t num_groups = 1;
  int64_t groups_kept = 1;
  bool normalises = true;
  float scaling = 1;
};
struct GateBackward {
  Stored dlogit{};           // (N, E)  out
  Device<float> dweight{};   // (N, K)
  Device<int32_t> expert{};  // (N, K)
  Device<float> score{};     // (N, E)
  int64_t N = 0;
  int64_t E = 0;
  int64_t K = 0;
  bool normalises = true;
  float scaling = 1;
};

// Rows of all experts one after another, each expert's in token order.
struct Route {
  Device<int32_t> offsets{};    // (E+1)  out
  Device<int32_t> row_token{};  // (N*K)  out: token of each row
  Device<int32_t> slot_row{};   // (N, K)  out: row of each (token, k)
  Device<int64_t> counts{};     // (E)  accumulated tokens per expert; may be absent
  Device<int32_t> expert{};     // (N, K)
  int64_t N = 0;
  int64_t E = 0;
  int64_t K = 0;
};

// out[n] += sum over k, in expert order, of weight[n, k] * rows[slot_row[n, k]]; weight 1 if absent.
struct Combine {
  Device<float> out{};         // (N, D)
  Device<float> rows{};        // (N*K, D)
  Device<float> weight{};      // (N, K)
  Device<int32_t> slot_row{};  // (N, K)
  int64_t N = 0;
  int64_t K = 0;
  int64_t D = 0;
};

// kernels/swiglu.h
struct Swiglu {
  Stored y{};              // (N, F)  out
  Device<float> gate{};    // (N, F)
  Device<float> up{};      // (N, F)
  int64_t N = 0;
  int64_t F = 0;
};
// With the row weights of an expert (weight[row_slot] as laid out by Route through slot_row):
// d(w * (a Wd)) for rows of experts; absent weight means 1.
struct SwigluBackward {
  Stored dgate{};             // (N, F)  out
  Stored dup{};               // (N, F)  out
  Stored weighted{};          // (N, F)  out: w * a, the operand of dWd; absent: not written
  Device<float> dweight{};    // (tokens, K)  out: sum over f of da * a; absent without weights
  Device<float> da{};         // (N, F)  gradient of a for weight 1
  Device<float> gate{};
  Device<float> up{};
  Device<float> weight{};        // (tokens, K)
  Device<int32_t> slot_row{};    // (tokens, K): row of each (token, k)
  int64_t N = 0;
  int64_t F = 0;
  int64_t num_slots = 0;         // tokens * K
};

struct Embedding {
  Device<float> x{};         // (N, D)  out
  Device<float> table{};     // (V, D)
  Device<int32_t> token{};   // (N)
  int64_t N = 0;
  int64_t D = 0;
};
struct EmbeddingBackward {
  Device<float> dtable{};    // (V, D)  accumulated, in token order
  Device<float> dx{};        // (N, D)
  Device<int32_t> token{};   // (N)
  int64_t N = 0;
  int64_t D = 0;
};

// kernels/token_logprob.h
struct TokenLogprob {
  Device<float> logprob{};  // (N)  out
  Device<float> lse{};      // (N)  out, kept for backward
  Device<float> entropy{};  // (N)  out; may be absent
  Device<float> logit{};    // (N, V)
  Device<int32_t> token{};  // (N)
  int64_t N = 0;
  int64_t V = 0;
  float temperature = 1;
};
struct TokenLogprobBackward {
  Stored dlogit{};           // (N, V)  out
  Device<float> dlogprob{};  // (N)
  Device<float> lse{};       // (N)
  Device<float> logit{};     // (N, V)
  Device<int32_t> token{};   // (N)
  int64_t N = 0;
  int64_t V = 0;
  float temperature = 1;
};

// kernels/sample.h
struct SampleKey {
  uint64_t seed = 0;
  uint64_t round = 0;
  uint32_t stream = 0;  // A StreamId of kernels/random.h.
  uint32_t ordinal = 0;
  uint32_t sample = 0;
  uint32_t position = 0;  // Of the token that is sampled, counted from the prompt's first.
};
struct Sample {
  Device<int32_t> token{};   // (N)  out
  Device<float> logprob{};   // (N)  out: as TokenLogprob gives it
  Device<float> logit{};     // (N, V)
  Device<SampleKey> key{};   // (N)
  int64_t N = 0;
  int64_t V = 0;
  float temperature = 1;  // 0: the largest logit, ties to the smaller id; logprob at temperature 1.
  float top_p = 1;
};

// kernels/adamw.h: elements [0, n) of one tensor.
struct AdamW {
  Device<float> weight{};    // (n)  in place
  Device<float> m{};         // (n)  in place
  Device<float> v{};         // (n)  in place
  Device<float> gradient{};  // (n)
  int64_t n = 0;
  float learning_rate = 0;
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  float weight_decay = 0;
  float gradient_scale = 1;  // Of clipping.
  float correction1 = 1;     // 1 - beta1^t
  float correction2 = 1;     // 1 - beta2^t
};

// Bounds of what a stream will be asked to do.
struct WorkspacePlan {
  int64_t tokens_max = 0;   // Rows of any product.
  int64_t width_max = 0;    // Rows or columns of any weight, and vocabulary.
  int64_t heads = 0;
  int64_t latent_width = 0;  // W
  int64_t context_max = 0;
  int64_t experts = 0;
};

inline constexpr uint32_t kBackendVersion = 1;

struct Backend {
  uint32_t version = kBackendVersion;
  uint32_t size_bytes = sizeof(Backend);  // Of the table that the provider was compiled with.
  const char* name = "";                  // "avx512", ...
  const char* arithmetic_id = "";         // "cpu-1", ...

  // Memory. allocate returns zeroed memory aligned to 64 bytes, or address 0 when there is none.
  uint64_t (*allocate)(int64_t bytes) = nullptr;
  void (*release)(uint64_t address) = nullptr;
  Stream* (*create_stream)(Precision precision, const WorkspacePlan& plan) = nullptr;
  void (*destroy_stream)(Stream* stream) = nullptr;
  void (*upload)(Stream* stream, uint64_t to, const void* from, int64_t bytes) = nullptr;
  void (*download)(Stream* stream, void* to, uint64_t from, int64_t bytes) = nullptr;  // Waits.
  void (*copy)(Stream* stream, uint64_t to, uint64_t from, int64_t bytes) = nullptr;
  void (*fill_zero)(Stream* stream, uint64_t to, int64_t bytes) = nullptr;

  // Packing: w (rows, cols) from floats at ld, rounded to the stored type; transposed: element
  // (row, col) is source[col * ld + row].
  int64_t (*packed_bytes)(Precision precision, int64_t rows, int64_t cols) = nullptr;
  void (*pack)(Stream* stream, const Packed& to, Device<float> from, int64_t ld,
               bool is_transposed) = nullptr;
  // to (N, n) = from (N, n) rounded to the stored type.
  void (*store)(Stream* stream, Stored to, Device<float> from, int64_t N, int64_t n, int64_t ldto,
                int64_t ldfrom) = nullptr;
  // Rounds floats in place to the values that bf16 can hold.
  void (*round_bf16)(Stream* stream, Device<float> x, int64_t n) = nullptr;

  void (*gemm)(Stream* stream, const Gemm& args) = nullptr;
  void (*grouped_gemm)(Stream* stream, const GroupedGemm& args) = nullptr;
  void (*weight_gradient)(Stream* stream, const WeightGradient& args) = nullptr;
  void (*grouped_weight_gradient)(Stream* stream, const GroupedWeightGradient& args) = nullptr;

  void (*rmsnorm)(Stream* stream, const RmsNorm& args) = nullptr;
  void (*rmsnorm_backward)(Stream* stream, const RmsNormBackward& args) = nullptr;
  void (*mla_query)(Stream* stream, const MlaQuery& args) = nullptr;
  void (*mla_query_backward)(Stream* stream, const MlaQueryBackward& args) = nullptr;
  void (*mla_latent)(Stream* stream, const MlaLatent& args) = nullptr;
  void (*mla_latent_backward)(Stream* stream, const MlaLatentBackward& args) = nullptr;
  void (*attention)(Stream* stream, const Attention& args) = nullptr;
  void (*attention_backward)(Stream* stream, const AttentionBackward& args) = nullptr;
  void (*gate)(Stream* stream, const Gate& args) = nullptr;
  void (*gate_backward)(Stream* stream, const GateBackward& args) = nullptr;
  void (*route)(Stream* stream, const Route& args) = nullptr;
  void (*combine)(Stream* stream, const Combine& args) = nullptr;
  void (*swiglu)(Stream* stream, const Swiglu& args) = nullptr;
  void (*swiglu_backward)(Stream* stream, const SwigluBackward& args) = nullptr;
  void (*embedding)(Stream* stream, const Embedding& args) = nullptr;
  void (*embedding_backward)(Stream* stream, const EmbeddingBackward& args) = nullptr;
  void (*token_logprob)(Stream* stream, const TokenLogprob& args) = nullptr;
  void (*token_logprob_backward)(Stream* stream, const TokenLogprobBackward& args) = nullptr;
  void (*sample)(Stream* stream, const Sample& args) = nullptr;

  // y += x over n elements.
  void (*add)(Stream* stream, Device<float> y, Device<float> x, int64_t n) = nullptr;
  // sums[i] = sum of squares, in double, of elements [i, i+1) * kChunkElements of x.
  void (*square_sums)(Stream* stream, Device<double> sums, Device<float> x, int64_t n) = nullptr;
  void (*adamw)(Stream* stream, const AdamW& args) = nullptr;
};

}  // namespace troupe::kernels

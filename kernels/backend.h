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
// Shapes in the operations' headers: N tokens of a packed batch, D hidden size, H heads, V
// vocabulary, E experts, K experts per token, F inner size of a SwiGLU, R rank of the latent, P
// size of the rotated part, W = padded(R + P) width of a latent row, S sequences.
#pragma once

#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/device_types.h"
#include "kernels/embedding.h"
#include "kernels/gate.h"
#include "kernels/head_rows.h"
#include "kernels/latent_attention.h"
#include "kernels/product.h"
#include "kernels/rmsnorm.h"
#include "kernels/sample.h"
#include "kernels/swiglu.h"
#include "kernels/token_logprob.h"

namespace troupe::kernels {

// Bounds of what a stream will be asked to do.
struct WorkspacePlan {
  int64_t tokens_max = 0;   // Rows of any product.
  int64_t width_max = 0;    // Rows or columns of any weight, and vocabulary.
  int64_t heads = 0;        // Of queries.
  int64_t key_width = 0;    // CacheRow's
  int64_t value_width = 0;  // likewise
  int64_t context_max = 0;
  int64_t experts = 0;
};

inline constexpr uint32_t kBackendVersion = 4;

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
  void (*head_rows)(Stream* stream, const HeadRows& args) = nullptr;
  void (*head_rows_backward)(Stream* stream, const HeadRowsBackward& args) = nullptr;
  void (*add_bias)(Stream* stream, const AddBias& args) = nullptr;
  void (*bias_gradient)(Stream* stream, const BiasGradient& args) = nullptr;
  void (*attention)(Stream* stream, const Attention& args) = nullptr;
  void (*attention_backward)(Stream* stream, const AttentionBackward& args) = nullptr;
  void (*gate)(Stream* stream, const Gate& args) = nullptr;
  void (*gate_backward)(Stream* stream, const GateBackward& args) = nullptr;
  void (*route)(Stream* stream, const Route& args) = nullptr;
  void (*combine_experts)(Stream* stream, const CombineExperts& args) = nullptr;
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

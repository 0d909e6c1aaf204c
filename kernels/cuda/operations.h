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

// Widths of keys in sixteens, of values at most 512; offsets and strides of the cache even.
void attention(StreamHandle stream, const Attention& args);
// A value begins its key or lies behind it. `dots` is N H floats that it may write.
void attention_backward(StreamHandle stream, const AttentionBackward& args, Device<float> dots);

void adamw(StreamHandle stream, const AdamW& args);

void embedding(StreamHandle stream, const Embedding& args);
void embedding_backward(StreamHandle stream, const EmbeddingBackward& args);

// At most 32 experts for a token and 32 groups, 8,192 experts.
void gate(StreamHandle stream, const Gate& args);

// Weights lie as packed() says in product.cu: rows of padded(cols) bf16, zeros behind cols. Rows of
// x begin at multiples of sixteen bytes.
void gemm(StreamHandle stream, const Gemm& args);

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

void sample(StreamHandle stream, const Sample& args);

// Logits are not stored: a row is read again.
void token_logprob(StreamHandle stream, const TokenLogprob& args);
void token_logprob_backward(StreamHandle stream, const TokenLogprobBackward& args);

void swiglu(StreamHandle stream, const Swiglu& args);
void swiglu_backward(StreamHandle stream, const SwigluBackward& args);

}  // namespace troupe::kernels::cuda

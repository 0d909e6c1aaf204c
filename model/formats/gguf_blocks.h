// Blocks of GGUF's quantised types to floats, as ggml's reference computes them: in float, in that
// order of operations.
#pragma once

#include <cstddef>

namespace troupe::model {

// Each reads one block of its type at `in` and writes the block's elements to `out`.
void f32_block(const std::byte* in, float* out);
void f16_block(const std::byte* in, float* out);
void bf16_block(const std::byte* in, float* out);
void q4_0_block(const std::byte* in, float* out);
void q4_1_block(const std::byte* in, float* out);
void q5_0_block(const std::byte* in, float* out);
void q5_1_block(const std::byte* in, float* out);
void q8_0_block(const std::byte* in, float* out);
void q2_k_block(const std::byte* in, float* out);
void q3_k_block(const std::byte* in, float* out);
void q4_k_block(const std::byte* in, float* out);
void q5_k_block(const std::byte* in, float* out);
void q6_k_block(const std::byte* in, float* out);

}  // namespace troupe::model

#include "model/formats/gguf_blocks.h"

#include <cstdint>
#include <cstring>

#include "model/formats/small_floats.h"

namespace troupe::model {
namespace {

template <class Number>
Number load(const std::byte* from) {
  Number number{};
  std::memcpy(&number, from, sizeof(number));
  return number;
}

float load_f16(const std::byte* from) { return f16_to_float(load<uint16_t>(from)); }

uint32_t at(const std::byte* bytes, size_t i) { return std::to_integer<uint32_t>(bytes[i]); }

struct ScaleAndMinimum {
  uint32_t scale = 0;
  uint32_t minimum = 0;
};

// Eight pairs of 6-bit scale and minimum in 12 bytes. The first four pairs are the low six bits of
// bytes 0..3 and 4..7. The last four have their low four bits in bytes 8..11 and the upper two on
// top of the first four.
ScaleAndMinimum pair_of(const std::byte* packed, size_t group) {
  if (group < 4) return {at(packed, group) & 63, at(packed, group + 4) & 63};
  return {(at(packed, group + 4) & 0xf) | (at(packed, group - 4) >> 6) << 4,
          at(packed, group + 4) >> 4 | (at(packed, group) >> 6) << 4};
}

}  // namespace

void f32_block(const std::byte* in, float* out) { *out = load<float>(in); }
void f16_block(const std::byte* in, float* out) { *out = load_f16(in); }
void bf16_block(const std::byte* in, float* out) { *out = bf16_to_float(load<uint16_t>(in)); }

// f16 d, 16 bytes of two nibbles: the low ones are elements 0..15, the high ones 16..31.
// x = d (q - 8).
void q4_0_block(const std::byte* in, float* out) {
  const float d = load_f16(in);
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t q = at(in + 2, i);
    out[i] = d * static_cast<float>(static_cast<int>(q & 0xf) - 8);
    out[i + 16] = d * static_cast<float>(static_cast<int>(q >> 4) - 8);
  }
}

// f16 d, f16 m, nibbles as in Q4_0. x = d q + m.
void q4_1_block(const std::byte* in, float* out) {
  const float d = load_f16(in);
  const float m = load_f16(in + 2);
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t q = at(in + 4, i);
    out[i] = d * static_cast<float>(q & 0xf) + m;
    out[i + 16] = d * static_cast<float>(q >> 4) + m;
  }
}

// f16 d, 32 fifth bits in 4 bytes, nibbles as in Q4_0. x = d (q - 16).
void q5_0_block(const std::byte* in, float* out) {
  const float d = load_f16(in);
  const auto high = load<uint32_t>(in + 2);
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t nibbles = at(in + 6, i);
    const uint32_t first = (nibbles & 0xf) | (high >> i & 1) << 4;
    const uint32_t second = nibbles >> 4 | (high >> (i + 16) & 1) << 4;
    out[i] = d * static_cast<float>(static_cast<int>(first) - 16);
    out[i + 16] = d * static_cast<float>(static_cast<int>(second) - 16);
  }
}

// f16 d, f16 m, fifth bits and nibbles as in Q5_0. x = d q + m.
void q5_1_block(const std::byte* in, float* out) {
  const float d = load_f16(in);
  const float m = load_f16(in + 2);
  const auto high = load<uint32_t>(in + 4);
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t nibbles = at(in + 8, i);
    out[i] = d * static_cast<float>((nibbles & 0xf) | (high >> i & 1) << 4) + m;
    out[i + 16] = d * static_cast<float>(nibbles >> 4 | (high >> (i + 16) & 1) << 4) + m;
  }
}

// f16 d, 32 signed bytes. x = d q.
void q8_0_block(const std::byte* in, float* out) {
  const float d = load_f16(in);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(load<int8_t>(in + 2 + i));
}

// f16 d, f16 m, eight pairs of scale and minimum, 128 bytes of two nibbles. Of each 32 bytes the
// low nibbles are one group of 32 elements and the high ones the next. x = (d scale) q - (m
// minimum).
void q4_k_block(const std::byte* in, float* out) {
  const float d = load_f16(in);
  const float m = load_f16(in + 2);
  const std::byte* quants = in + 16;
  for (size_t group = 0; group < 8; ++group) {
    const ScaleAndMinimum pair = pair_of(in + 4, group);
    const float group_scale = d * static_cast<float>(pair.scale);
    const float group_minimum = m * static_cast<float>(pair.minimum);
    const size_t shift = 4 * (group % 2);
    for (size_t i = 0; i < 32; ++i) {
      const uint32_t q = at(quants, 32 * (group / 2) + i) >> shift & 0xf;
      out[32 * group + i] = group_scale * static_cast<float>(q) - group_minimum;
    }
  }
}

// As Q4_K with 32 bytes before the nibbles: bit g of byte i is the fifth bit of element i of group
// g.
void q5_k_block(const std::byte* in, float* out) {
  const float d = load_f16(in);
  const float m = load_f16(in + 2);
  const std::byte* high = in + 16;
  const std::byte* quants = in + 48;
  for (size_t group = 0; group < 8; ++group) {
    const ScaleAndMinimum pair = pair_of(in + 4, group);
    const float group_scale = d * static_cast<float>(pair.scale);
    const float group_minimum = m * static_cast<float>(pair.minimum);
    const size_t shift = 4 * (group % 2);
    for (size_t i = 0; i < 32; ++i) {
      const uint32_t low = at(quants, 32 * (group / 2) + i) >> shift & 0xf;
      const uint32_t q = low | (at(high, i) >> group & 1) << 4;
      out[32 * group + i] = group_scale * static_cast<float>(q) - group_minimum;
    }
  }
}

// 16 bytes with a scale and, above it, a minimum of four bits each, 64 bytes of four quants, f16 d,
// f16 m. Each half of 128 elements is four groups of 32, the two bits of 32 bytes from low to high.
// x = (d scale) q - (m minimum), one pair for 16 elements.
void q2_k_block(const std::byte* in, float* out) {
  const float d = load_f16(in + 80);
  const float m = load_f16(in + 82);
  for (size_t i = 0; i < 256; ++i) {
    const uint32_t pair = at(in, i / 16);
    const uint32_t q = at(in + 16, 32 * (i / 128) + i % 32) >> (2 * (i / 32 % 4)) & 3;
    const float scale = d * static_cast<float>(pair & 0xf);
    out[i] = scale * static_cast<float>(q) - m * static_cast<float>(pair >> 4);
  }
}

// 32 bytes of third bits, 64 bytes of four quants laid out as in Q2_K, 16 scales of six bits in 12
// bytes, f16 d. Bit g of byte i is the third bit of element i of group g, and says that nothing is
// taken away. x = (d (scale - 32)) (q - 4), one scale for 16 elements.
void q3_k_block(const std::byte* in, float* out) {
  const std::byte* packed = in + 96;
  const float d = load_f16(in + 108);
  for (size_t i = 0; i < 256; ++i) {
    // The low four bits of scales 0..7 and 8..15 are the nibbles of bytes 0..7; the upper two of
    // scales s, s + 4, s + 8 and s + 12 are those of byte 8 + s, from low to high.
    const size_t s = i / 16;
    const uint32_t low_bits = at(packed, s % 8) >> (s < 8 ? 0 : 4) & 0xf;
    const uint32_t high_bits = at(packed, 8 + s % 4) >> (2 * (s / 4)) & 3;
    const float scale = d * static_cast<float>(static_cast<int>(low_bits | high_bits << 4) - 32);
    const uint32_t low = at(in + 32, 32 * (i / 128) + i % 32) >> (2 * (i / 32 % 4)) & 3;
    const uint32_t high = at(in, i % 32) >> (i / 32) & 1;
    out[i] = scale * static_cast<float>(static_cast<int>(low | high << 2) - 4);
  }
}

// 128 bytes with the low four bits, 64 with the upper two, 16 signed scales, f16 d. Each half of
// 128 elements is four groups of 32: the low nibbles of 64 bytes, then their high ones; the upper
// bits of the four groups are those of 32 bytes from low to high. x = (d scale) (q - 32), one scale
// for 16 elements.
void q6_k_block(const std::byte* in, float* out) {
  const float d = load_f16(in + 208);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128;
    const size_t group = i / 32 % 4;
    const uint32_t low = at(in, 64 * half + i % 64) >> (group < 2 ? 0 : 4) & 0xf;
    const uint32_t high = at(in + 128, 32 * half + i % 32) >> (2 * group) & 3;
    const float scale = d * static_cast<float>(load<int8_t>(in + 192 + i / 16));
    out[i] = scale * static_cast<float>(static_cast<int>(low | high << 4) - 32);
  }
}

}  // namespace troupe::model

// Numbers of 16 and 8 bits as floats. All are exact; only the payloads of NaNs may differ from what
// other programs make of them.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace troupe::model {

// 2^exponent, for -126 <= exponent <= 127.
constexpr float power_of_two(int exponent) {
  return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
}

constexpr float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// IEEE 754 binary16.
constexpr float f16_to_float(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  const uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0) {  // Zero or below the normal range: a multiple of 2^-24.
    const float size = static_cast<float>(mantissa) * power_of_two(-24);
    return std::bit_cast<float>(std::bit_cast<uint32_t>(size) | sign);
  }
  const uint32_t wide = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

// E4M3 of "FP8 Formats for Deep Learning" (arXiv 2209.05433): bias 7, no infinities, NaN only where
// all bits but the sign are set.
constexpr float f8_e4m3_to_float(uint8_t bits) {
  const int exponent = (bits >> 3) & 0xf;
  const auto mantissa = static_cast<float>(bits & 7);
  float size = 0;
  if ((bits & 0x7f) == 0x7f) {
    size = std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    size = mantissa * power_of_two(-9);
  } else {
    size = (8 + mantissa) * power_of_two(exponent - 10);
  }
  return (bits & 0x80) != 0 ? -size : size;
}

inline constexpr std::array<float, 256> kF8E4M3Values = [] {
  std::array<float, 256> values{};
  for (size_t i = 0; i < values.size(); ++i) values[i] = f8_e4m3_to_float(static_cast<uint8_t>(i));
  return values;
}();

}  // namespace troupe::model

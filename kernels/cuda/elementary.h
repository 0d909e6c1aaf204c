// Functions of one float made of IEEE operations alone, so that every machine has the same bits.
#pragma once

#include "kernels/cuda/device.h"

namespace troupe::kernels::cuda {

// 2^n for -126 <= n <= 127.
TROUPE_DEVICE float power_of_two(int n) { return float_of(static_cast<uint32_t>(n + 127) << 23); }

// e^x to 1 unit in the last place, subnormal results included; infinite above 88.73, a NaN of a
// NaN. x = n ln 2 + r, |r| <= ln 2 / 2; a Taylor series for r; the scale in two steps, each of
// which can be a float, so that only the last rounds.
TROUPE_DEVICE float exponential(float x) {
  if (x > 89.0f) return float_of(0x7F800000);
  if (x < -104.0f) return 0;
  if (x != x) return x;
  constexpr float kNearest = 12582912.0f;  // 1.5 2^23: a sum with it is rounded to an integer.
  const float n = fma(x, 1.44269502f, kNearest) - kNearest;
  // ln 2 in two parts, the first of so few bits that n times it is exact.
  const float r = fma(n, -1.42860677e-6f, fma(n, -0.693145752f, x));
  float p = 1.0f / 5040;
  p = fma(p, r, 1.0f / 720);
  p = fma(p, r, 1.0f / 120);
  p = fma(p, r, 1.0f / 24);
  p = fma(p, r, 1.0f / 6);
  p = fma(p, r, 0.5f);
  p = fma(p, r, 1.0f);
  p = fma(p, r, 1.0f);
  const int scale = static_cast<int>(n), half = scale / 2;
  return p * power_of_two(half) * power_of_two(scale - half);
}

// ln x for a normal x > 0, to 2 units in the last place; infinite of an infinity, a NaN of a NaN. x
// = 2^n m, m between sqrt(1/2) and sqrt 2; ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172.
TROUPE_DEVICE float logarithm(float x) {
  if (!(x <= 3.402823466e38f)) return x;
  const uint32_t bits = bits_of(x);
  int exponent = static_cast<int>(bits >> 23) - 127;
  float m = float_of((bits & 0x7FFFFF) | 0x3F800000);
  if (m > 1.41421354f) {
    m *= 0.5f;
    ++exponent;
  }
  const float s = divide(m - 1.0f, m + 1.0f), z = s * s;
  float p = 1.0f / 9;
  p = fma(p, z, 1.0f / 7);
  p = fma(p, z, 1.0f / 5);
  p = fma(p, z, 1.0f / 3);
  const float log_m = fma(s + s, z * p, s + s);
  const float n = static_cast<float>(exponent);
  // ln 2 in two parts, as above.
  return fma(n, 0.693145752f, fma(n, 1.42860677e-6f, log_m));
}

TROUPE_DEVICE float sigmoid(float x) { return divide(1.0f, 1.0f + exponential(-x)); }

}  // namespace troupe::kernels::cuda

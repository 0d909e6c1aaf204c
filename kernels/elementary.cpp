#include "kernels/elementary.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace troupe::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// 2^n for -1022 <= n <= 1023.
double power_of_two(int64_t n) {
  return std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52);
}

// x = k * (pi/2) + the result, |result| <= pi/4. pi/2 in three parts of 33, 33 and 53 bits, so that
// k times each of the first two is exact for |k| < 2^20.
double reduce_quarter_turns(double x, int64_t& k) {
  constexpr double kPart1 = 0x1.921fb544p+0;
  constexpr double kPart2 = 0x1.0b4611a6p-34;
  constexpr double kPart3 = 0x1.3198a2e037073p-69;
  const double scaled = x * 0x1.45f306dc9c883p-1;  // 2 / pi
  k = static_cast<int64_t>(scaled + (scaled >= 0 ? 0.5 : -0.5));
  const double n = static_cast<double>(k);
  return ((x - n * kPart1) - n * kPart2) - n * kPart3;
}

// Taylor series; |r| <= pi/4 makes the first dropped term smaller than 2^-56.
double sin_series(double r) {
  const double z = r * r;
  double p = 1.0 / 355687428096000.0;  // 17!
  p = 1.0 / -1307674368000.0 + z * p;
  p = 1.0 / 6227020800.0 + z * p;
  p = 1.0 / -39916800.0 + z * p;
  p = 1.0 / 362880.0 + z * p;
  p = 1.0 / -5040.0 + z * p;
  p = 1.0 / 120.0 + z * p;
  p = 1.0 / -6.0 + z * p;
  return r + r * (z * p);
}

double cos_series(double r) {
  const double z = r * r;
  double p = 1.0 / -6402373705728000.0;  // 18!
  p = 1.0 / 20922789888000.0 + z * p;
  p = 1.0 / -87178291200.0 + z * p;
  p = 1.0 / 479001600.0 + z * p;
  p = 1.0 / -3628800.0 + z * p;
  p = 1.0 / 40320.0 + z * p;
  p = 1.0 / -720.0 + z * p;
  p = 1.0 / 24.0 + z * p;
  p = -0.5 + z * p;
  return 1.0 + z * p;
}

}  // namespace

double exp_exact(double x) {
  if (x != x) return x;
  if (x > 709.78) return kInfinity;
  if (x < -708.39) return 0;
  // ln 2 in two parts, the first of 32 bits, so that n times it is exact.
  const double scaled = x * 0x1.71547652b82fep+0;
  const auto n = static_cast<int64_t>(scaled + (scaled >= 0 ? 0.5 : -0.5));
  const double r = (x - static_cast<double>(n) * 0x1.62e42feep-1) -
                   static_cast<double>(n) * 0x1.a39ef35793c76p-33;
  double p = 1.0 / 87178291200.0;  // 14!
  p = 1.0 / 6227020800.0 + r * p;
  p = 1.0 / 479001600.0 + r * p;
  p = 1.0 / 39916800.0 + r * p;
  p = 1.0 / 3628800.0 + r * p;
  p = 1.0 / 362880.0 + r * p;
  p = 1.0 / 40320.0 + r * p;
  p = 1.0 / 5040.0 + r * p;
  p = 1.0 / 720.0 + r * p;
  p = 1.0 / 120.0 + r * p;
  p = 1.0 / 24.0 + r * p;
  p = 1.0 / 6.0 + r * p;
  p = 0.5 + r * p;
  const double e = 1.0 + (r + r * r * p);
  // n may be 1024 for the largest x: two steps keep the factor representable.
  return n > 1000 ? e * power_of_two(n - 1) * 2.0 : e * power_of_two(n);
}

double log_exact(double x) {
  if (x != x || x < 0) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0) return -kInfinity;
  if (x == kInfinity) return x;
  int64_t exponent = 0;
  if (x < 0x1p-1022) {  // Subnormal.
    x *= 0x1p54;
    exponent = -54;
  }
  auto bits = std::bit_cast<uint64_t>(x);
  exponent += static_cast<int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 0x1.6a09e667f3bcdp+0) {  // sqrt 2
    m *= 0.5;
    ++exponent;
  }
  // ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716.
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double p = 1.0 / 23.0;
  for (int odd = 21; odd >= 3; odd -= 2) p = 1.0 / odd + z * p;
  const double log_m = 2.0 * s + 2.0 * s * (z * p);
  const double n = static_cast<double>(exponent);
  return n * 0x1.62e42feep-1 + (log_m + n * 0x1.a39ef35793c76p-33);
}

double sin_exact(double x) {
  int64_t k = 0;
  const double r = reduce_quarter_turns(x, k);
  switch (k & 3) {
    case 0:
      return sin_series(r);
    case 1:
      return cos_series(r);
    case 2:
      return -sin_series(r);
    default:
      return -cos_series(r);
  }
}

double cos_exact(double x) {
  int64_t k = 0;
  const double r = reduce_quarter_turns(x, k);
  switch (k & 3) {
    case 0:
      return cos_series(r);
    case 1:
      return -sin_series(r);
    case 2:
      return -cos_series(r);
    default:
      return sin_series(r);
  }
}

}  // namespace troupe::kernels

#include "tests/support/cuda_reference/mma.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

namespace troupe::cuda_reference {
namespace {

constexpr int kTerms = 16;
constexpr int kMinExponent = -126;  // Of subnormals and zeros, in bf16 and float.

float from_bf16(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

// Sixteen bf16 values x = significand / 2^7 * 2^exponent.
struct Split {
  int32_t significand[kTerms];
  int32_t exponent[kTerms];
  bool is_finite;
  bool is_zero;
};

Split split(const uint16_t* x) {
  Split all;
  all.is_finite = true;
  all.is_zero = true;
  for (int i = 0; i < kTerms; ++i) {
    const int field = x[i] >> 7 & 0xFF;
    const int size = (x[i] & 0x7F) | (field != 0 ? 0x80 : 0);
    all.significand[i] = x[i] >> 15 != 0 ? -size : size;
    all.exponent[i] = field != 0 ? field - 127 : kMinExponent;
    all.is_finite &= field != 0xFF;
    all.is_zero &= size == 0;
  }
  return all;
}

// Cuts a sum / 2^fraction * 2^exponent off to a float, toward zero.
float cut_off(int64_t sum, int exponent, int fraction) {
  if (sum == 0) return 0;
  const uint64_t size = static_cast<uint64_t>(std::abs(sum));
  const int bits = 64 - __builtin_clzll(size);
  const int last = exponent - fraction;  // The weight of the sum's last bit is 2^last.
  // Either 24 bits remain, or those that a subnormal has.
  const int cut = std::max({bits - 24, -149 - last, 0});
  const double x = cut < 64 ? std::ldexp(static_cast<double>(size >> cut), last + cut) : 0;
  return static_cast<float>(sum < 0 ? -x : x);
}

// Products are exact and not normalised: 1.5 * 1.5 counts with exponent 0. All terms are aligned to
// the largest exponent and cut off `fraction` bits behind the point; their sum is exact.
template <int kCount, int kFraction>
float fused_sum(const Split& a, const Split& b, int first, float c) {
  const uint32_t bits = std::bit_cast<uint32_t>(c);
  const int field = static_cast<int>(bits >> 23 & 0xFF);
  const int64_t c_size = (bits & 0x7FFFFF) | (field != 0 ? 0x800000 : 0);
  const int c_exponent = field != 0 ? field - 127 : kMinExponent;

  int32_t product[kCount], exponent[kCount];
  int largest = c_exponent;
  for (int i = 0; i < kCount; ++i) {
    product[i] = a.significand[first + i] * b.significand[first + i];
    exponent[i] = a.exponent[first + i] + b.exponent[first + i];
  }
  for (int i = 0; i < kCount; ++i) largest = std::max(largest, exponent[i]);

  // Products have 14 bits behind the point and two before it: eight of them fit into 32 bits.
  int32_t eights[2] = {0, 0};
  for (int i = 0; i < kCount; ++i) {
    const int32_t sign = product[i] >> 31;
    const int32_t size = (product[i] ^ sign) - sign;
    const int32_t aligned = size << (kFraction - 14) >> std::min(largest - exponent[i], 31);
    eights[i / 8] += (aligned ^ sign) - sign;
  }
  const int64_t c_aligned = c_size << (kFraction - 23) >> std::min(largest - c_exponent, 63);
  const int64_t sum = int64_t{eights[0]} + eights[1] + (bits >> 31 != 0 ? -c_aligned : c_aligned);
  return cut_off(sum, largest, kFraction);
}

float dot_split(TensorCore core, const Split& a, const Split& b, float c) {
  if (core == TensorCore::kSm90) return fused_sum<16, 25>(a, b, 0, c);
  const float half = fused_sum<8, 24>(a, b, 0, c);
  // A half that has overflown is an infinity, and stays one.
  return std::isfinite(half) ? fused_sum<8, 24>(a, b, 8, half) : half;
}

// With an infinity or a NaN among the terms, only which one comes out is a question. Doubles hold
// any sum of such products.
float dot_not_finite(const uint16_t* a, const uint16_t* b, float c) {
  double sum = c;
  for (int i = 0; i < kTerms; ++i) sum += double{from_bf16(a[i])} * from_bf16(b[i]);
  return std::isnan(sum) ? std::bit_cast<float>(uint32_t{0x7FFFFFFF}) : static_cast<float>(sum);
}

}  // namespace

float dot16(TensorCore core, const uint16_t* a, const uint16_t* b, float c) {
  const Split split_a = split(a), split_b = split(b);
  if (!split_a.is_finite || !split_b.is_finite || !std::isfinite(c)) {
    return dot_not_finite(a, b, c);
  }
  return dot_split(core, split_a, split_b, c);
}

void mma_m16n8k16(TensorCore core, float (&d)[16][8], const uint16_t (&a)[16][16],
                  const uint16_t (&b)[8][16]) {
  Split split_a[16], split_b[8];
  for (int m = 0; m < 16; ++m) split_a[m] = split(a[m]);
  for (int n = 0; n < 8; ++n) split_b[n] = split(b[n]);
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 8; ++n) {
      float& x = d[m][n];
      if (split_a[m].is_finite && split_b[n].is_finite && std::isfinite(x)) {
        // Nothing is cut off a sum of zeros and a float, whose zero is +0.
        x = split_a[m].is_zero || split_b[n].is_zero ? x + 0.0f
                                                     : dot_split(core, split_a[m], split_b[n], x);
      } else {
        x = dot_not_finite(a[m], b[n], x);
      }
    }
  }
}

}  // namespace troupe::cuda_reference
